//! A thread that owns something and works on it, one job after the other.

use std::fmt;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use fastn_core::{Error, ErrorKind, Result};
use tokio::sync::oneshot;

use crate::standing::closed;

type Job<T> = Box<dyn FnOnce(&mut T) + Send>;

/// What a worker owns.
pub(super) trait Thing: 'static {
    /// Called between two jobs, and once more after the span that it gives if there is no job until then.
    fn between_jobs(&mut self) -> Option<Duration>;
}

/// The handle of the thread. Dropping it waits until the jobs that were given are done, then frees the thing.
pub(super) struct Worker<T> {
    /// `None` once stopped: the thread ends when it has done all that was sent.
    jobs: Mutex<Option<Sender<Job<T>>>>,
    thread: Mutex<Option<JoinHandle<()>>>,
    /// Says that the thing is freed, to whoever stops the thread without blocking another.
    freed: Mutex<Option<oneshot::Receiver<()>>>,
}

impl<T: Thing> Worker<T> {
    /// Starts the thread and makes the thing there.
    ///
    /// # Errors
    /// Those of `make`; [`Unavailable`](ErrorKind::Unavailable) if the system gives no thread.
    pub(super) async fn start(name: &str, make: impl FnOnce() -> Result<T> + Send + 'static) -> Result<Self> {
        let (jobs, to_do) = channel::<Job<T>>();
        let (ready, is_ready) = oneshot::channel();
        let (freeing, freed) = oneshot::channel();
        let thread = std::thread::Builder::new()
            .name(name.to_owned())
            .spawn(move || {
                match make() {
                    Ok(thing) => {
                        // A caller that has gone away leaves a worker without jobs, which ends by itself.
                        let _ = ready.send(Ok(()));
                        work(thing, &to_do);
                    }
                    Err(error) => {
                        let _ = ready.send(Err(error));
                    }
                }
                let _ = freeing.send(());
            })
            .map_err(|e| Error::new(ErrorKind::Unavailable, "start thread").with("name", name).caused_by(e))?;
        let worker =
            Self { jobs: Mutex::new(Some(jobs)), thread: Mutex::new(Some(thread)), freed: Mutex::new(Some(freed)) };
        is_ready.await.map_err(|_| Error::new(ErrorKind::Internal, "start thread").with("name", name))??;
        Ok(worker)
    }

    /// Has a job done and gives its result.
    ///
    /// # Errors
    /// Those of the job; [`Closed`](ErrorKind::Closed) once stopped.
    pub(super) async fn ask<R: Send + 'static>(
        &self,
        job: impl FnOnce(&mut T) -> Result<R> + Send + 'static,
    ) -> Result<R> {
        let (reply, answer) = oneshot::channel();
        // Whether anybody still waits for the answer makes no difference to what is done.
        self.send(Box::new(move |thing| drop(reply.send(job(thing)))))?;
        answer.await.unwrap_or_else(|_| Err(closed()))
    }

    /// Gives a job away.
    ///
    /// # Errors
    /// [`Closed`](ErrorKind::Closed) once stopped.
    pub(super) fn send(&self, job: Job<T>) -> Result<()> {
        let jobs = locked(&self.jobs);
        jobs.as_ref().ok_or_else(closed)?.send(job).map_err(|_| closed())
    }

    /// Waits until all jobs are done, the thing freed and the thread gone.
    ///
    /// # Errors
    /// [`Closed`](ErrorKind::Closed) if it was stopped before.
    pub(super) async fn stop(&self) -> Result<()> {
        let jobs = locked(&self.jobs).take().ok_or_else(closed)?;
        drop(jobs);
        let freed = locked(&self.freed).take();
        if let Some(freed) = freed {
            // An error says that the sender is gone, and so is the thread.
            let _ = freed.await;
        }
        self.join();
        Ok(())
    }
}

impl<T> Worker<T> {
    fn join(&self) {
        if let Some(thread) = locked(&self.thread).take() {
            // A panic was reported by the panic hook; there is nobody here who could do more.
            let _ = thread.join();
        }
    }
}

fn work<T: Thing>(mut thing: T, jobs: &Receiver<Job<T>>) {
    loop {
        let job = match thing.between_jobs() {
            None => jobs.recv().map_err(|_| RecvTimeoutError::Disconnected),
            Some(span) => jobs.recv_timeout(span),
        };
        match job {
            Ok(job) => job(&mut thing),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return,
        }
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<T> Drop for Worker<T> {
    fn drop(&mut self) {
        locked(&self.jobs).take();
        self.join();
    }
}

impl<T> fmt::Debug for Worker<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Worker")
    }
}
