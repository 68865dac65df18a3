//! What can be typed.

use std::path::PathBuf;

use clap::{Parser, Subcommand, ValueEnum};
use fastn::core::{RunId, TenantId, WorkflowName};

/// Runs workflows that are written as documents, and looks at and steers the runs of a store.
///
/// Exit codes: 0 succeeded, 1 something unexpected, 2 wrong use, document or input, 3 the run failed, 4 it was cancelled, 5 it still
/// waits, 130 interrupted.
#[derive(Debug, Parser)]
#[command(name = "fastn", version)]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run a document.
    Run(Run),
    /// Say what is wrong with documents.
    Check {
        /// The documents.
        #[arg(required = true)]
        files: Vec<PathBuf>,
    },
    /// Draw a document.
    Graph {
        /// The document.
        file: PathBuf,
        /// As what.
        #[arg(short, long, value_enum, default_value_t = Picture::Tree)]
        format: Picture,
        /// Where to, instead of standard output.
        #[arg(short = 'O', long)]
        out: Option<PathBuf>,
    },
    /// Print the JSON Schema of documents.
    Schema,
    /// Look at runs and steer them, beside whoever runs them.
    #[command(subcommand)]
    Runs(Runs),
    /// Look at runs that failed for good.
    #[command(subcommand)]
    DeadLetters(Letters),
    /// Run what a store has to do, for the documents of a folder, until it is interrupted.
    Worker {
        #[command(flatten)]
        at: At,
        /// The folder; its documents end in `.yaml`, `.yml` and `.json`.
        dir: PathBuf,
        #[command(flatten)]
        network: Network,
    },
    /// Run a document again whenever it is changed.
    Dev {
        /// The document.
        file: PathBuf,
        /// What it is given: JSON, `@FILE`, or `-` for standard input.
        #[arg(short, long)]
        input: Option<String>,
        #[command(flatten)]
        network: Network,
    },
    /// Print the version.
    Version,
    /// Print what makes a shell complete this command.
    Completions {
        /// The shell.
        shell: clap_complete::Shell,
    },
}

#[derive(Debug, clap::Args)]
pub(crate) struct Run {
    /// The document: JSON or YAML.
    pub(crate) file: PathBuf,
    /// What the run is given: JSON, `@FILE`, or `-` for standard input; `null` if nothing is said.
    #[arg(short, long)]
    pub(crate) input: Option<String>,
    /// Where the run is kept: `sqlite:PATH`, `postgres://…`. Without one it is gone with this command.
    #[arg(long, env = "FASTN_STORE")]
    pub(crate) store: Option<String>,
    /// The id of the run, or any word that stands for one. A run that is there already is gone on with.
    #[arg(long)]
    pub(crate) id: Option<String>,
    /// Whose run it is.
    #[arg(long, env = "FASTN_TENANT", default_value = "default")]
    pub(crate) tenant: TenantId,
    /// Only start it, for whoever works on the store.
    #[arg(long)]
    pub(crate) detach: bool,
    /// How long to wait for its end, such as `10s`.
    #[arg(long)]
    pub(crate) timeout: Option<String>,
    #[command(flatten)]
    pub(crate) network: Network,
    /// How to print.
    #[arg(short, long, value_enum, env = "FASTN_OUTPUT")]
    pub(crate) output: Option<Output>,
}

#[derive(Clone, Copy, Debug, clap::Args)]
pub(crate) struct Network {
    /// Let HTTP calls reach private addresses.
    #[arg(long)]
    pub(crate) allow_private_network: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Runs {
    /// List runs, newest first.
    List {
        #[command(flatten)]
        at: At,
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
        which: Which,
    },
    /// Print what is recorded of a run, line by line.
    Logs {
        #[command(flatten)]
        which: Which,
    },
    /// Wait for the end of a run, and end as it does.
    Wait {
        #[command(flatten)]
        which: Which,
        /// How long, such as `10s`.
        #[arg(long)]
        timeout: Option<String>,
    },
    /// Cancel a run, wherever it is.
    Cancel {
        #[command(flatten)]
        which: Which,
        /// Why, for those who look later.
        #[arg(long, default_value = "cancelled at the command line")]
        reason: String,
    },
    /// Tell a run something that it waits for, or will.
    Signal {
        #[command(flatten)]
        which: Which,
        /// The signal.
        name: String,
        /// What it brings: JSON, `@FILE`, or `-` for standard input; `null` if nothing is said.
        #[arg(long)]
        value: Option<String>,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum Letters {
    /// List them, newest first.
    List {
        #[command(flatten)]
        at: At,
        /// Those that were retried or dismissed too.
        #[arg(long)]
        all: bool,
        /// Only of this workflow.
        #[arg(long)]
        workflow: Option<WorkflowName>,
        /// At most so many.
        #[arg(long, default_value_t = 100)]
        limit: u32,
    },
    /// Start one once more, as a new run with the same input.
    Retry {
        #[command(flatten)]
        which: Which,
        /// The folder of its document.
        dir: PathBuf,
        /// Which retry it is: each number has one run, however often it is asked for.
        #[arg(long, default_value_t = 1)]
        number: u32,
        #[command(flatten)]
        network: Network,
    },
    /// Say that one needs nothing more.
    Dismiss {
        #[command(flatten)]
        which: Which,
        /// Who says so.
        #[arg(long, env = "USER", default_value = "somebody")]
        by: String,
        /// Why.
        #[arg(long)]
        why: String,
    },
}

/// Where runs are.
#[derive(Debug, clap::Args)]
pub(crate) struct At {
    /// Where the runs are: `sqlite:PATH`, `postgres://…`.
    #[arg(long, env = "FASTN_STORE")]
    pub(crate) store: Option<String>,
    /// How to print.
    #[arg(short, long, value_enum, env = "FASTN_OUTPUT")]
    pub(crate) output: Option<Output>,
}

/// Which run.
#[derive(Debug, clap::Args)]
pub(crate) struct Which {
    #[command(flatten)]
    pub(crate) at: At,
    /// The run.
    pub(crate) id: RunId,
    /// Whose run it is.
    #[arg(long, env = "FASTN_TENANT", default_value = "default")]
    pub(crate) tenant: TenantId,
}

#[derive(Clone, Copy, Debug, Default, ValueEnum, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Output {
    /// For people.
    #[default]
    Table,
    /// For programs: one JSON document.
    Json,
    /// The ids of the runs, one a line.
    Ids,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Picture {
    /// An indented text.
    Tree,
    /// A Mermaid flowchart.
    Mermaid,
    /// The language of Graphviz.
    Dot,
    /// JSON for graph editors of the kind of xyflow.
    Json,
    /// An SVG image.
    Svg,
}
