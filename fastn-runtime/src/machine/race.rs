//! The arms of a `race` that is being worked on.

use fastn_core::{Arrived, ContentType, Failure, FailureKind, Join, Payload, Result};
use serde_json::value::RawValue;

use super::slot::ScopeId;

/// The arms of a `race`, and what became of them.
#[derive(Clone, Debug)]
pub(super) struct Race {
    arms: Vec<Entrant>,
    join: Join,
}

#[derive(Clone, Debug)]
pub(super) enum Entrant {
    /// It is being worked on.
    Open(ScopeId),
    /// It has failed, and is being undone.
    Failing(ScopeId),
    /// Nobody waits for it any more, and it is being undone.
    Losing(ScopeId),
    /// It was among the first.
    Arrived(Payload),
    /// It failed, and nothing of it is left.
    Failed(Failure),
    /// It was not wanted any more, and nothing of it is left.
    Lost,
}

impl Race {
    pub(super) const fn new(arms: Vec<Entrant>, join: Join) -> Self {
        Self { arms, join }
    }

    pub(super) fn arm(&mut self, arm: u32) -> Option<&mut Entrant> {
        self.arms.get_mut(arm as usize)
    }

    /// The scope of an arm that is not over.
    pub(super) fn scope(&self, arm: u32) -> Option<ScopeId> {
        self.arms.get(arm as usize)?.scope()
    }

    /// The scopes of those that are not over.
    pub(super) fn open_scopes(&self) -> impl Iterator<Item = ScopeId> + '_ {
        self.arms.iter().filter_map(Entrant::scope)
    }

    /// How many arms must still succeed.
    fn missing(&self) -> usize {
        let arrived = self.arms.iter().filter(|arm| matches!(arm, Entrant::Arrived(_))).count();
        (self.join.needs() as usize).saturating_sub(arrived)
    }

    /// Whether it is decided: enough have arrived, or no more that could are enough.
    pub(super) fn is_decided(&self) -> bool {
        let going = self.arms.iter().filter(|arm| matches!(arm, Entrant::Open(_))).count();
        self.missing() == 0 || going < self.missing()
    }

    /// Those that are given up now that it is decided.
    pub(super) fn lose(&mut self) -> Vec<ScopeId> {
        let mut lost = Vec::new();
        for arm in &mut self.arms {
            if let Entrant::Open(scope) = *arm {
                lost.push(scope);
                *arm = Entrant::Losing(scope);
            }
        }
        lost
    }

    /// Whether no arm is being worked on any more, nor undone.
    pub(super) fn is_over(&self) -> bool {
        self.arms.iter().all(|arm| arm.scope().is_none())
    }

    /// What it gives, or why it gives nothing. The labels are those of the arms.
    pub(super) fn result<'a>(
        &self,
        labels: impl Iterator<Item = &'a str> + Clone,
    ) -> Result<std::result::Result<Payload, Failure>> {
        let missing = self.missing();
        let arms = || labels.clone().zip(&self.arms);
        if missing > 0 {
            let failed =
                arms().filter_map(
                    |(label, arm)| if let Entrant::Failed(failure) = arm { Some((label, failure)) } else { None },
                );
            let (count, needs) = (failed.clone().count(), self.join.needs());
            let what = format!("{count} of its {} arms failed, and {needs} must succeed", self.arms.len());
            let mut failure = Failure::new(FailureKind::AGGREGATE, what);
            failure.chain = failed.map(|(label, failure)| format!("{label}: {failure}")).collect();
            return Ok(Err(failure));
        }
        let mut arrived = arms()
            .filter_map(|(label, arm)| if let Entrant::Arrived(value) = arm { Some((label, value)) } else { None });
        if self.join == Join::First {
            return Ok(Ok(arrived.next().map_or_else(Payload::null, |(_, value)| value.clone())));
        }
        let arrived = arrived.map(|(label, value)| {
            let value: Box<RawValue> = value.decode()?;
            Ok(Arrived { arm: label.to_owned(), value })
        });
        Ok(Ok(Payload::encode(&arrived.collect::<Result<Vec<_>>>()?)?))
    }

    /// Whether what an arm gives can stand in what it gives.
    ///
    /// # Errors
    /// A permanent failure if it gives a list, and this is not JSON.
    pub(super) fn takes(&self, value: &Payload) -> std::result::Result<(), Failure> {
        if self.join == Join::First || *value.content() == ContentType::Json {
            return Ok(());
        }
        let what = format!("an arm gave {}, which cannot stand in a list", value.content().as_str());
        Err(Failure::new(FailureKind::INVALID, what).permanent())
    }
}

impl Entrant {
    const fn scope(&self) -> Option<ScopeId> {
        match self {
            Self::Open(scope) | Self::Failing(scope) | Self::Losing(scope) => Some(*scope),
            Self::Arrived(_) | Self::Failed(_) | Self::Lost => None,
        }
    }
}
