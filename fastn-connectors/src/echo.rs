//! A connector that gives back what it gets: for tests, examples and first flows.

use async_trait::async_trait;
use fastn_core::{Op, Payload, StepError};
use serde_json::Value;

use crate::{Action, Call, Connector, Description};

/// Gives back its input.
pub const SAY: Op<Value, Value> = Op::new("echo", "say");

/// The connector `echo`.
#[derive(Debug)]
pub struct Echo {
    description: Description,
}

impl Echo {
    /// The connector.
    pub fn new() -> Self {
        let say = Action::new("say").summary("Gives back its input").idempotent();
        Self { description: Description::new("echo").summary("Gives back what it gets").action(say) }
    }
}

impl Default for Echo {
    fn default() -> Self {
        Self::new()
    }
}

#[async_trait]
impl Connector for Echo {
    fn describe(&self) -> &Description {
        &self.description
    }

    async fn execute(&self, call: Call) -> Result<Payload, StepError> {
        // Byte for byte, media type included: no decoding that could change a number.
        if call.action == SAY.action() { Ok(call.input) } else { Err(call.unknown_action()) }
    }
}
