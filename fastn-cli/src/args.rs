//! What can be typed.

use clap::{Parser, Subcommand, ValueEnum};
use fastn::core::{RunId, TenantId, WorkflowName};

/// Looks at the runs of a fastn store.
#[derive(Debug, Parser)]
#[command(name = "fastn", version)]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Print the version.
    Version,
    /// Look at runs.
    #[command(subcommand)]
    Runs(Runs),
}

#[derive(Debug, Subcommand)]
pub(crate) enum Runs {
    /// List runs, newest first.
    List {
        #[command(flatten)]
        at: Place,
        /// Only this tenant's.
        #[arg(long)]
        tenant: Option<TenantId>,
        /// Only of this workflow.
        #[arg(long)]
        workflow: Option<WorkflowName>,
        /// At most so many.
        #[arg(long, default_value_t = 100)]
        limit: u32,
    },
    /// Show a run and everything that is recorded of it.
    Show {
        #[command(flatten)]
        at: Place,
        /// The run.
        id: RunId,
        /// Whose run it is.
        #[arg(long, default_value = "default")]
        tenant: TenantId,
    },
}

#[derive(Debug, clap::Args)]
pub(crate) struct Place {
    /// Where the runs are: `sqlite:PATH`.
    #[arg(long, env = "FASTN_STORE")]
    pub(crate) store: String,
    /// How to print.
    #[arg(short, long, value_enum, default_value_t = Output::Table)]
    pub(crate) output: Output,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Output {
    /// For people.
    Table,
    /// For programs: one JSON document.
    Json,
    /// The ids of the runs, one a line.
    Ids,
}
