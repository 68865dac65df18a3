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
        #[command(flatten)]
        who: Who,
    },
    /// Let nothing new of a run begin, wherever it is.
    Pause {
        #[command(flatten)]
        which: Which,
        #[command(flatten)]
        who: Who,
    },
    /// Let a run go on that was paused.
    Resume {
        #[command(flatten)]
        which: Which,
        #[command(flatten)]
        who: Who,
    },
    /// Pass a step by that is under way, is tried again, sleeps or waits: it gives nothing, and a sleep what it was given.
    Skip {
        #[command(flatten)]
        which: Which,
        /// The step, as `explain` names it.
        step: String,
        #[command(flatten)]
        who: Who,
    },
    /// Say what became of a step, such as one whose executor died in the middle of what may happen once.
    Complete {
        #[command(flatten)]
        which: Which,
        /// The step, as `explain` names it.
        step: String,
        #[command(flatten)]
        became: Became,
        #[command(flatten)]
        who: Who,
    },
    /// Start a new run that begins with what this one has done, from a step on.
    Fork {
        #[command(flatten)]
        which: Which,
        /// The step that is made again, with all that comes after it.
        step: String,
        /// What the new run is given, if not the same: JSON, `@FILE`, or `-` for standard input.
        #[arg(long)]
        input: Option<String>,
        /// The step is not made: it gave this: JSON, `@FILE`, or `-` for standard input.
        #[arg(long)]
        gives: Option<String>,
        #[command(flatten)]
        who: Who,
    },
    /// Start a new run that goes on from where this one failed or was cancelled.
    Retry {
        #[command(flatten)]
        which: Which,
        /// What the new run is given, if not the same: JSON, `@FILE`, or `-` for standard input.
        #[arg(long)]
        input: Option<String>,
        #[command(flatten)]
        who: Who,
    },
    /// Say why a run is where it is: what is under way, what it waits for, who has it, what comes next.
    Explain {
        #[command(flatten)]
        which: Which,
    },
    /// Cancel, pause or let go on all runs of a filter that have not ended.
    All {
        /// What is done to them.
        #[arg(value_enum)]
        what: What,
        #[command(flatten)]
        at: At,
        /// Only this tenant's.
        #[arg(long)]
        tenant: Option<TenantId>,
        /// Only of this workflow.
        #[arg(long)]
        workflow: Option<WorkflowName>,
        /// Only of this version of it.
        #[arg(long)]
        only_version: Option<u32>,
        /// Only those that are paused.
        #[arg(long)]
        paused: bool,
        /// Only say how many runs there are, and show some.
        #[arg(long)]
        dry_run: bool,
        #[command(flatten)]
        who: Who,
    },
    /// List who did what to which run, when and why, newest first.
    Audit {
        #[command(flatten)]
        at: At,
        /// Only of this tenant's runs.
        #[arg(long)]
        tenant: Option<TenantId>,
        /// Only of this run.
        #[arg(long)]
        run: Option<RunId>,
        /// Only what this one did.
        #[arg(long)]
        actor: Option<String>,
        /// Only deeds of this kind: `cancel`, `pause`, `resume`, `signal`, `decide`.
        #[arg(long)]
        deed: Option<String>,
        /// At most so many.
        #[arg(long, default_value_t = 100)]
        limit: u32,
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
        #[command(flatten)]
        who: Who,
    },
}

/// Who does it, and why.
#[derive(Debug, clap::Args)]
pub(crate) struct Who {
    /// Who does it; the user of the system, if nothing is said.
    #[arg(long = "as", env = "FASTN_AS", value_name = "WHO")]
    pub(crate) actor: Option<String>,
    /// Why, for those who look later.
    #[arg(long, default_value = "at the command line")]
    pub(crate) reason: String,
}

/// What became of a step.
#[derive(Debug, clap::Args)]
#[group(required = true, multiple = false)]
pub(crate) struct Became {
    /// It is done, and gave this: JSON, `@FILE`, or `-` for standard input.
    #[arg(long, value_name = "JSON")]
    pub(crate) gave: Option<String>,
    /// It failed for good, for this reason.
    #[arg(long, value_name = "WHY")]
    pub(crate) failed: Option<String>,
    /// It is made again, now.
    #[arg(long)]
    pub(crate) again: bool,
}

/// What is done to many runs.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum What {
    Cancel,
    Pause,
    Resume,
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
