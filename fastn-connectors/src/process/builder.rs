//! The connector and its settings.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use fastn_core::{Payload, StepCx, StepError};

use crate::process::run::run;
use crate::process::settings::Settings;
use crate::process::{Command, Exit, RUN};
use crate::{Action, Call, Connector, Description};

/// The connector `process`. Cloning is cheap.
#[derive(Clone)]
pub struct Process {
    description: Arc<Description>,
    settings: Arc<Settings>,
}

impl Process {
    /// The settings, to be changed.
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// Runs a command in the name of a step: what the action [`RUN`] does.
    ///
    /// # Errors
    /// See the [module](crate::process).
    ///
    /// # Cancel safety
    /// Dropping the future kills the whole process group at once.
    pub async fn run(&self, cx: &StepCx, command: Command) -> Result<Exit, StepError> {
        run(&self.settings, cx, &command).await
    }
}

impl Default for Process {
    fn default() -> Self {
        Self::builder().build()
    }
}

#[async_trait]
impl Connector for Process {
    fn describe(&self) -> &Description {
        &self.description
    }

    async fn execute(&self, call: Call) -> Result<Payload, StepError> {
        if call.action != RUN.action() {
            return Err(call.unknown_action());
        }
        let exit = self.run(&call.cx, call.decode()?).await?;
        call.encode(&exit)
    }
}

impl fmt::Debug for Process {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Process({:?})", self.settings.programs)
    }
}

/// The settings of a [`Process`].
#[derive(Default)]
#[must_use = "a connector comes out of build()"]
pub struct Builder {
    settings: Settings,
}

impl Builder {
    /// Allows this program, and from then on only those that are allowed: what a command calls its program must be one
    /// of them to the letter, and scripts need `sh` to be allowed. Variables that decide what a name or a program means
    /// (`PATH`, `LD_*`, `DYLD_*`) cannot be set by commands then. All other arguments are still the caller's: this is a
    /// list, not a sandbox.
    pub fn allow_program(mut self, program: impl Into<String>) -> Self {
        self.settings.programs.push(program.into());
        self
    }

    /// How much is kept of standard output (its beginning), of standard error (its end), and of the lines that are JSON
    /// objects, in bytes each; 1 MiB if not set. What is more is read and dropped.
    pub fn max_output_bytes(mut self, bytes: usize) -> Self {
        self.settings.max_output_bytes = bytes;
        self
    }

    /// The longest line that is passed on as progress or kept as a JSON object, in bytes; 64 KiB if not set. Of longer
    /// ones the beginning is passed on as text.
    pub fn max_line_bytes(mut self, bytes: usize) -> Self {
        self.settings.max_line_bytes = bytes;
        self
    }

    /// How many lines that are JSON objects are kept; 1000 if not set.
    pub fn max_lines(mut self, lines: usize) -> Self {
        self.settings.max_lines = lines;
        self
    }

    /// How long a program may take to end after it was asked to (SIGTERM), and how long its output may stay open after
    /// it has ended; 2 s if not set. Then its whole group is killed.
    pub fn grace(mut self, time: Duration) -> Self {
        self.settings.grace = time;
        self
    }

    /// The connector.
    pub fn build(self) -> Process {
        let action = Action::new("run").summary("Runs a program to its end");
        let description = Description::new("process").summary("Programs of this machine").action(action);
        Process { description: Arc::new(description), settings: Arc::new(self.settings) }
    }
}

impl fmt::Debug for Builder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Builder({:?})", self.settings.programs)
    }
}
