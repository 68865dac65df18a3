//! CNCF Serverless Workflow 1.0 (github.com/serverlessworkflow/specification), read into the same model.
//!
//! What flows from task to task there is not only data but a context and the variables of loops. Here it is one value, `{d, e}`: `d`
//! is the data, and `e` has the `context`, the `vars` and the `workflow`. Every expression has names for these before it, so that it
//! finds what the specification says that it finds.
//!
//! | room | what is there |
//! |---|---|
//! | `document` | the whole document |
//! | `flow` | tasks one after the other, and where they go on |
//! | `tasks` | what each task does |
//! | `calls` | tasks that reach out: HTTP, other workflows, time |
//! | `envelope` | the value that flows, and expressions over it |

mod calls;
mod document;
mod envelope;
mod flow;
mod tasks;

pub(crate) use document::{is_serverless, serverless};
