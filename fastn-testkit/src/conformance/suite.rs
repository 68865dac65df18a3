//! The suite: which stores are put through which cases.

use std::fmt;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use fastn_core::{BoxFuture, Result};
use fastn_store::Store;
use libtest_mimic::{Arguments, Completion, Failed};

use super::capability::Capability;
use super::case::{Case, Flaw};
use super::cases::{
    claim, close, commit, create, deaths, fencing, list, mailbox, news, queues, race, repository, retention, values,
    withdraw,
};
use super::report::{CaseReport, Report, Verdict};
use super::trial::Trial;

/// How long a case may take before it is said to hang. Cases take milliseconds.
const PATIENCE: Duration = Duration::from_secs(60);

/// Every case, room by room. One that is missing here is dead code, which is not allowed.
const ALL: [&[Case]; 22] = [
    create::CASES,
    commit::CASES,
    fencing::CASES,
    claim::CASES,
    deaths::CASES,
    race::CASES,
    mailbox::CASES,
    news::CASES,
    queues::places::CASES,
    queues::limits::CASES,
    queues::rates::CASES,
    queues::order::CASES,
    queues::once::CASES,
    queues::gather::CASES,
    queues::race::CASES,
    queues::deaths::CASES,
    withdraw::CASES,
    list::CASES,
    retention::CASES,
    repository::CASES,
    values::CASES,
    close::CASES,
];

/// Makes a fresh store.
type Factory = Arc<dyn Fn() -> BoxFuture<'static, Result<Option<Arc<dyn Store>>>> + Send + Sync>;

/// Puts stores through every case there is.
#[derive(Debug, Default)]
#[must_use = "a suite is run by `run` or `check`"]
pub struct Suite {
    backends: Vec<Backend>,
    /// The one case to try, if not all.
    only: Option<String>,
}

/// A store that is put through the cases.
#[derive(Clone)]
struct Backend {
    name: String,
    fresh: Factory,
    lacks: Vec<Capability>,
    /// What has to be there for this store to be tried.
    needing: String,
    patience: Duration,
}

impl Suite {
    /// A suite that tries no store yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Tries a store. `fresh` gives one that is new and empty for each case; `None` if it cannot be had here, and then
    /// its cases are shown as ignored.
    pub fn backend<F>(mut self, name: impl Into<String>, fresh: impl Fn() -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Result<Option<Arc<dyn Store>>>> + Send + 'static,
    {
        let fresh: Factory = Arc::new(move || Box::pin(fresh()));
        let needing = "a store, and there is none here".to_owned();
        self.backends.push(Backend { name: name.into(), fresh, lacks: Vec::new(), needing, patience: PATIENCE });
        self
    }

    /// Says that the store named last lacks this. The cases that need it are shown as ignored.
    pub fn without(mut self, capability: Capability) -> Self {
        if let Some(backend) = self.backends.last_mut() {
            backend.lacks.push(capability);
        }
        self
    }

    /// Says what must be there for the store named last to be tried, for the line that tells that it was not.
    pub fn needing(mut self, what: impl Into<String>) -> Self {
        if let Some(backend) = self.backends.last_mut() {
            backend.needing = what.into();
        }
        self
    }

    /// How long the store named last may take for a case before it is said to hang; by default a minute.
    pub fn answers_within(mut self, patience: Duration) -> Self {
        if let Some(backend) = self.backends.last_mut() {
            backend.patience = patience;
        }
        self
    }

    /// Tries the case of this name alone.
    pub fn only(mut self, case: impl Into<String>) -> Self {
        self.only = Some(case.into());
        self
    }

    /// Runs the cases as a test program does, by the arguments of this process, and prints what came out. In a `#[test]`
    /// these are not for the suite: there it does as [`Suite::assert`].
    ///
    /// # Panics
    /// In a `#[test]`, if a case fails.
    #[must_use = "this is what a test's `main` returns"]
    pub fn run(self) -> ExitCode {
        // The tests of a harness have threads that are named after them.
        if std::thread::current().name() != Some("main") {
            self.assert();
            return ExitCode::SUCCESS;
        }
        let trials = self.each(|backend, case| {
            let backend = backend.clone();
            libtest_mimic::Trial::ignorable_test(format!("{}::{}", backend.name, case.name), move || {
                match backend.put_through(case) {
                    Verdict::Passed => Ok(Completion::Completed),
                    Verdict::Ignored(why) => Ok(Completion::ignored_with(why)),
                    Verdict::Failed(why) => Err(Failed::from(why)),
                }
            })
        });
        libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
    }

    /// Runs every case and says what came out, for a program to look at.
    pub fn check(&self) -> Report {
        let report = |backend: &Backend, case: Case| {
            let verdict = backend.put_through(case);
            CaseReport { backend: backend.name.clone(), case: case.name, verdict }
        };
        Report { cases: self.each(report) }
    }

    /// Runs every case, in a `#[test]`.
    ///
    /// # Panics
    /// If a case fails, with all of those that did; or if there was nothing to run.
    #[track_caller]
    pub fn assert(&self) {
        let report = self.check();
        assert!(!report.cases.is_empty(), "there is no store to try, or no case of that name");
        assert!(report.failed().is_empty(), "{report}");
    }

    fn each<T>(&self, make: impl Fn(&Backend, Case) -> T) -> Vec<T> {
        let cases =
            || ALL.iter().copied().flatten().filter(|case| self.only.as_deref().is_none_or(|only| only == case.name));
        self.backends.iter().flat_map(|backend| cases().map(|case| make(backend, *case)).collect::<Vec<_>>()).collect()
    }
}

impl Backend {
    /// Puts a fresh store through a case.
    fn put_through(&self, case: Case) -> Verdict {
        if let Some(missing) = case.needs.iter().find(|capability| self.lacks.contains(capability)) {
            return Verdict::Ignored(format!("without {missing}"));
        }
        // A thread of its own has no runtime yet, whoever calls, and contains the panic of a store.
        let backend = self.clone();
        match std::thread::spawn(move || backend.in_a_runtime(case)).join() {
            Ok(verdict) => verdict,
            Err(panic) => {
                let said = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
                let said = said.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_default();
                Verdict::Failed(format!("the store panicked: {said}"))
            }
        }
    }

    fn in_a_runtime(&self, case: Case) -> Verdict {
        // Two threads: those who race must be able to meet in the middle of a call.
        let runtime = match tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build() {
            Ok(runtime) => runtime,
            Err(error) => return Verdict::Failed(format!("there is no runtime: {error}")),
        };
        let tried = runtime.block_on(async { tokio::time::timeout(self.patience, self.try_out(case)).await });
        match tried {
            Ok(Ok(Some(()))) => Verdict::Passed,
            Ok(Ok(None)) => Verdict::Ignored(format!("needs {}", self.needing)),
            Ok(Err(flaw)) => Verdict::Failed(flaw.to_string()),
            Err(_) => Verdict::Failed(format!("the store did not answer for {:?}", self.patience)),
        }
    }

    async fn try_out(&self, case: Case) -> std::result::Result<Option<()>, Flaw> {
        let Some(store) = (self.fresh)().await? else { return Ok(None) };
        let trial = Trial { store, lacks: self.lacks.clone().into() };
        (case.body)(trial).await.map(Some)
    }
}

impl fmt::Debug for Backend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Backend({}, without {:?})", self.name, self.lacks)
    }
}
