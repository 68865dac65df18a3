//! A cache of reads in Redis, in front of any store.
//!
//! | file | what it knows |
//! |---|---|
//! | `settings` | what hosts say, and the way in |
//! | `terms` | what is kept, and for how long |
//! | `store` | which reads are answered from the cache, and when not |
//! | `marks` | what was done through this store, which its own reads must not miss |
//! | `names` | under which keys answers are kept, and whose they are |
//! | `sealed` | how a value shows that it is ours, of this key, and how old it is |
//! | `coded` | answers as bytes |
//! | `shelf` | looking for values, and keeping them without anybody waiting |
//! | `link` | the connection, and when none is tried |
//! | `line` | one connection |
//! | `place` | the URL |
//! | `counts` | what can be counted |

mod coded;
mod counts;
#[cfg(feature = "fuzzing")]
pub(crate) mod fuzzing;
mod line;
mod link;
mod marks;
mod names;
mod place;
mod sealed;
mod settings;
mod shelf;
mod store;
mod terms;

pub use self::counts::ReadCacheCounts;
pub use self::settings::ReadCache;
