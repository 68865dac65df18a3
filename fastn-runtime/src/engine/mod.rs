//! The engine: drives the machines of all runs of this process.
//!
//! | room | what is there |
//! |---|---|
//! | `builder` | what an engine is made of, and opening one |
//! | `core` | the runs in memory and the tasks that work on them |
//! | `services` | what runs need of their engine: the store, time, chance |
//! | `tenure` | the time under one lease, and what lives no longer than that |
//! | `reign` | one lease after the other: won, kept, lost |
//! | `bells`, `listen` | what rings when another process has done something |
//! | `command`, `post` | what is told to runs that another engine has, and how it gets there |
//! | `beforehand` | what runs were told that counts before anything of them begins |
//! | `dead_event` | what was told to a run and could not be handed over, as it is kept |
//! | `lookout` | the ends of runs that other engines have |
//! | `alarms` | when to look at which run |
//! | `run` | one run in memory: its machine, and how events become turns |
//! | `pending` | what a turn leaves to be done once it is durable |
//! | `strand` | a task that makes attempts one after the other |
//! | `attempt` | one attempt: deadline, cancellation, panic, size |
//! | `timers` | what happens when an alarm goes off: sleeps end, retries begin, deadlines pass |
//! | `withdraw` | cancelling a run that nobody has ever had |
//! | `recovery` | runs that were under way when a process died |
//! | `families`, `children` | runs that are started by other runs, and who waits for them |
//! | `signals` | what hosts tell runs |
//! | `suspicion` | runs that are begun one by one, since they may kill |
//! | `same` | whether a run that is there is what would have been started |
//! | `owner`, `start`, `start_batched`, `handle`, `runs` | what hosts call |
//! | `explain` | why a run is where it is |
//! | `kept` | how what is kept beside runs says its format |
//! | `steer` | what is done to runs from outside, and who did it |
//! | `letters` | runs that failed for good, to be retried or dismissed |
//! | `spread` | who asks first for what all can have |
//! | `queues` | runs that wait for their turn |
//! | `schedules` | runs that are started when they are due; behind the feature of that name |
//! | `watch` | what hosts can wait for and listen to |

mod abort;
mod alarms;
mod attempt;
mod beforehand;
mod bells;
mod builder;
mod children;
mod command;
mod core;
mod dead_event;
mod explain;
mod families;
#[cfg(feature = "fuzzing")]
pub(crate) mod fuzzing;
mod handle;
mod kept;
mod letters;
mod listen;
mod lookout;
mod owner;
mod pending;
mod post;
mod queues;
mod recovery;
mod reign;
mod run;
mod runs;
mod same;
#[cfg(feature = "schedules")]
mod schedules;
mod services;
mod signals;
mod spread;
mod start;
mod start_batched;
mod steer;
mod strand;
mod suspicion;
mod tenure;
mod timers;
mod watch;
mod withdraw;

pub use builder::{EngineBuilder, StoreSource};
pub use dead_event::DeadEvent;
pub use explain::{Explanation, Held, Paused};
pub use handle::{RunEvents, RunHandle};
pub use letters::{
    DeadLetter, DeadLetters, Dismissal, DismissedAll, EventMark, EventPage, EventQuery, LetterPage, LetterQuery,
    LetterRetry, Retrial, RetriedAll, ToldAgain,
};
pub use owner::Engine;
pub use queues::{Batching, Queue, Queues, Singleton};
pub use runs::{Inspection, Runs};
#[cfg(feature = "schedules")]
pub use schedules::{Backfilled, CatchUp, Overlap, Schedule, ScheduleInfo, ScheduleInput, Schedules};
pub use signals::{Delivery, SendSignal};
pub use start::Start;
pub use start_batched::StartBatched;
pub use steer::{AuditMark, AuditPage, AuditQuery, Audited, Deed, Fork, Matching, RunFilter, Steered, Steering};
pub use watch::RunEvent;
