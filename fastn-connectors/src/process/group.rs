//! A process and its group, which ends with it.

use std::io;
use std::process::ExitStatus;

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};
use tokio::process::Child;
use tokio::signal::unix::{SignalKind, signal};

/// The leader of a process group. Dropping it kills the group.
///
/// The leader is not reaped before the group has been killed for good: as long as it is there, be it as a zombie, the
/// system gives its number to no other group, so no signal of ours can hit a stranger.
pub(super) struct Group {
    child: Child,
    /// `None` once the leader has been reaped.
    leader: Option<Pid>,
}

impl Group {
    /// Takes over a child that was spawned as the leader of its group.
    pub(super) fn new(child: Child) -> io::Result<Self> {
        let leader = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
        match leader {
            Some(_) => Ok(Self { child, leader }),
            None => Err(io::Error::other("the process has no number")),
        }
    }

    pub(super) fn child(&mut self) -> &mut Child {
        &mut self.child
    }

    /// Completes when the leader has ended, and leaves it as a zombie.
    pub(super) async fn ended(&self) -> io::Result<()> {
        let Some(leader) = self.leader else { return Ok(()) };
        // Listening starts before looking, so that no end falls between.
        let mut ends = signal(SignalKind::child())?;
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT | WaitIdOptions::NOHANG;
        while waitid(WaitId::Pid(leader), options)?.is_none() {
            ends.recv().await;
        }
        Ok(())
    }

    /// Asks every process of the group to end.
    pub(super) fn terminate(&self) {
        self.send(Signal::TERM);
    }

    /// Kills whatever is left of the group and reaps the leader.
    pub(super) async fn finish(&mut self) -> io::Result<ExitStatus> {
        self.send(Signal::KILL);
        let status = self.child.wait().await?;
        self.leader = None;
        Ok(status)
    }

    fn send(&self, signal: Signal) {
        if let Some(leader) = self.leader {
            // It fails only if there is nobody left to get it.
            let _ = kill_process_group(leader, signal);
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        // The runtime reaps what is dropped unreaped.
        self.send(Signal::KILL);
    }
}
