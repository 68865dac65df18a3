//! From what a document says to a draft with its functions.
//!
//! | room | what is there |
//! |---|---|
//! | `work` | functions that evaluate expressions |
//! | `names` | what nodes refer to is there |
//! | `code` | what the functions of a node are, as a text |
//! | `builder` | scopes and nodes |
//! | `blame` | the faults of a plan, and where they stand in the document |

mod blame;
mod builder;
mod code;
mod names;
mod work;

pub(crate) use builder::build;
