//! Messages for runs.

use std::collections::BTreeSet;

use fastn_core::{ErrorKind, Result};
use fastn_store::{Lease, Message, MessageNo, ReceiveAsk, Received, RunStatus, Sent, Then};

use crate::conformance::capability::Capability;
use crate::conformance::case::{Case, Flaw, Found, case, fails, same};
use crate::conformance::trial::Trial;
use crate::sample::{at, key};

pub(in crate::conformance) const CASES: &[Case] = &[
    case!(a_message_comes_to_the_holder_of_its_run_as_it_was_sent),
    case!(every_message_is_received_and_those_of_a_run_in_their_order),
    case!(a_message_that_is_sent_again_is_there_once),
    case!(a_message_that_was_acknowledged_is_not_received_again_nor_taken_again),
    case!(whoever_sends_is_told_what_became_of_each_message),
    case!(a_message_for_a_run_that_nobody_holds_waits_for_whoever_claims_it),
    case!(what_was_not_acknowledged_comes_to_the_next_holder),
    case!(who_has_no_lease_receives_and_acknowledges_nothing),
    case!(messages_come_to_no_other_than_the_holder).needs(&[Capability::ManyLeases]),
    case!(messages_are_received_page_by_page),
    case!(the_same_id_may_be_used_for_several_runs),
    case!(messages_go_when_their_run_is_pruned),
    case!(what_a_run_has_not_acknowledged_can_be_looked_at),
    case!(summaries_are_given_in_the_order_asked_for),
];

/// A message of tenant `t` whose id and body are this number.
fn message(run: &str, number: u8) -> Result<Message> {
    let body = format!("message {number}\0").into_bytes().into();
    Ok(Message { id: [number; 16], run: key("t", run)?, body, sent_at: at(i64::from(number)) })
}

async fn send(t: &Trial, run: &str, number: u8) -> Result<Option<Sent>> {
    Ok(t.store.send(vec![message(run, number)?]).await?.pop())
}

async fn receive(t: &Trial, lease: &Lease, after: Option<MessageNo>, limit: u32) -> Result<Vec<Received>> {
    t.store.receive(ReceiveAsk { lease: lease.token, after, limit }).await
}

/// The numbers in the ids of all messages that wait for the holder.
async fn waiting(t: &Trial, lease: &Lease) -> Result<Vec<u8>> {
    Ok(ids(&receive(t, lease, None, 1_000).await?))
}

fn ids(received: &[Received]) -> Vec<u8> {
    received.iter().filter_map(|received| received.message.id.first().copied()).collect()
}

async fn acknowledge_all(t: &Trial, lease: &Lease) -> Result<()> {
    let all: Vec<MessageNo> = receive(t, lease, None, 1_000).await?.iter().map(|received| received.no).collect();
    t.store.acknowledge(lease.token, &all).await
}

async fn a_message_comes_to_the_holder_of_its_run_as_it_was_sent(t: Trial) -> Found {
    let lease = t.acquire("a", 0).await?;
    t.held(&lease, "1").await?;
    same(waiting(&t, &lease).await?, vec![0_u8; 0])?;
    let mut empty = message("1", 8)?;
    empty.body = "".into();
    let sent = vec![message("1", 7)?, empty];
    same(t.store.send(sent.clone()).await?, vec![Sent::Accepted; 2])?;
    let received = receive(&t, &lease, None, 10).await?;
    same(received.into_iter().map(|received| received.message).collect::<Vec<_>>(), sent)
}

async fn every_message_is_received_and_those_of_a_run_in_their_order(t: Trial) -> Found {
    let lease = t.acquire("a", 0).await?;
    for run in ["1", "2"] {
        t.held(&lease, run).await?;
    }
    for number in 0..40 {
        let run = if number % 2 == 0 { "1" } else { "2" };
        same(send(&t, run, number).await?, Some(Sent::Accepted))?;
    }
    let received = receive(&t, &lease, None, 1_000).await?;
    same((received.is_sorted_by_key(|received| received.no), ids(&received)), (true, (0..40).collect()))
}

async fn a_message_that_is_sent_again_is_there_once(t: Trial) -> Found {
    let lease = t.acquire("a", 0).await?;
    t.held(&lease, "1").await?;
    let twice = vec![message("1", 1)?, message("1", 1)?, message("1", 2)?];
    same(t.store.send(twice.clone()).await?, vec![Sent::Accepted, Sent::Known, Sent::Accepted])?;
    same(t.store.send(twice).await?, vec![Sent::Known; 3])?;
    same(waiting(&t, &lease).await?, vec![1, 2])
}

async fn a_message_that_was_acknowledged_is_not_received_again_nor_taken_again(t: Trial) -> Found {
    let lease = t.acquire("a", 0).await?;
    let no = t.held(&lease, "1").await?;
    t.store.send(vec![message("1", 1)?, message("1", 2)?]).await?;
    let received = receive(&t, &lease, None, 10).await?;
    let [first, _] = received.as_slice() else { return Err(Flaw::new(format_args!("received {received:?}"))) };
    // Acknowledging once more, or what there is not, does nothing.
    for _ in 0..2 {
        t.store.acknowledge(lease.token, &[first.no, MessageNo(u64::MAX)]).await?;
        same(waiting(&t, &lease).await?, vec![2])?;
    }
    same(send(&t, "1", 1).await?, Some(Sent::Known))?;
    same(waiting(&t, &lease).await?, vec![2])?;
    // Also under the next lease, and when the run has ended.
    t.store.release(&lease).await?;
    let next = t.acquire("b", 1).await?;
    same(t.claim_nos(&next, 1, &["w"], 10).await?, vec![no])?;
    same(send(&t, "1", 1).await?, Some(Sent::Known))?;
    same(waiting(&t, &next).await?, vec![2])?;
    t.turn(&next, no, 0, 1, Then::End(RunStatus::Succeeded)).await?;
    same(send(&t, "1", 1).await?, Some(Sent::Known))
}

async fn whoever_sends_is_told_what_became_of_each_message(t: Trial) -> Found {
    let lease = t.acquire("a", 0).await?;
    let (_, ended) = (t.held(&lease, "1").await?, t.held(&lease, "2").await?);
    t.turn(&lease, ended, 0, 1, Then::End(RunStatus::Cancelled)).await?;
    let all = vec![message("no such run", 1)?, message("2", 2)?, message("1", 3)?, message("no such run", 1)?];
    let told = vec![Sent::NotFound, Sent::Ended(RunStatus::Cancelled), Sent::Accepted, Sent::NotFound];
    same(t.store.send(all).await?, told)?;
    same(t.store.send(vec![]).await?, vec![])?;
    same(waiting(&t, &lease).await?, vec![3])
}

async fn a_message_for_a_run_that_nobody_holds_waits_for_whoever_claims_it(t: Trial) -> Found {
    let no = t.free("t", "1", "w").await?;
    same(send(&t, "1", 1).await?, Some(Sent::Accepted))?;
    let lease = t.acquire("a", 0).await?;
    same(waiting(&t, &lease).await?, vec![0_u8; 0])?;
    same(t.claim_nos(&lease, 0, &["w"], 10).await?, vec![no])?;
    same(waiting(&t, &lease).await?, vec![1])
}

async fn what_was_not_acknowledged_comes_to_the_next_holder(t: Trial) -> Found {
    let lease = t.acquire("a", 0).await?;
    t.held(&lease, "1").await?;
    t.store.send(vec![message("1", 1)?, message("1", 2)?]).await?;
    same(waiting(&t, &lease).await?, vec![1, 2])?;
    t.store.release(&lease).await?;
    same(send(&t, "1", 3).await?, Some(Sent::Accepted))?;
    let next = t.acquire("b", 1).await?;
    t.claim(&next, 1, &["w"], 10).await?;
    same(waiting(&t, &next).await?, vec![1, 2, 3])?;
    acknowledge_all(&t, &next).await?;
    same(waiting(&t, &next).await?, vec![0_u8; 0])
}

async fn who_has_no_lease_receives_and_acknowledges_nothing(t: Trial) -> Found {
    let lease = t.acquire("a", 0).await?;
    t.held(&lease, "1").await?;
    t.store.send(vec![message("1", 1)?]).await?;
    let numbers: Vec<MessageNo> = receive(&t, &lease, None, 10).await?.iter().map(|received| received.no).collect();
    t.store.release(&lease).await?;
    let next = t.acquire("b", 1).await?;
    t.claim(&next, 1, &["w"], 10).await?;
    for token in [lease.token, 0, next.token.saturating_add(1), u64::MAX] {
        let without = Lease { token, ..lease.clone() };
        fails(receive(&t, &without, None, 10).await, ErrorKind::Fenced)?;
        fails(t.store.acknowledge(token, &numbers).await, ErrorKind::Fenced)?;
    }
    same(waiting(&t, &next).await?, vec![1])
}

async fn messages_come_to_no_other_than_the_holder(t: Trial) -> Found {
    let (one, two) = (t.acquire("one", 0).await?, t.acquire("two", 0).await?);
    t.held(&one, "1").await?;
    t.held(&two, "2").await?;
    t.store.send(vec![message("1", 1)?, message("2", 2)?]).await?;
    same((waiting(&t, &one).await?, waiting(&t, &two).await?), (vec![1], vec![2]))?;
    // Nor can another acknowledge them.
    let numbers: Vec<MessageNo> = receive(&t, &one, None, 10).await?.iter().map(|received| received.no).collect();
    t.store.acknowledge(two.token, &numbers).await?;
    same(waiting(&t, &one).await?, vec![1])
}

async fn messages_are_received_page_by_page(t: Trial) -> Found {
    let lease = t.acquire("a", 0).await?;
    t.held(&lease, "1").await?;
    t.store.send((0..10).map(|number| message("1", number)).collect::<Result<_>>()?).await?;
    same(receive(&t, &lease, None, 0).await?, vec![])?;
    let (mut after, mut found) = (None, Vec::new());
    for _ in 0..4 {
        let page = receive(&t, &lease, after, 4).await?;
        after = page.last().map(|received| received.no).or(after);
        found.push(ids(&page));
    }
    same(found, vec![vec![0, 1, 2, 3], vec![4, 5, 6, 7], vec![8, 9], vec![]])
}

async fn the_same_id_may_be_used_for_several_runs(t: Trial) -> Found {
    let lease = t.acquire("a", 0).await?;
    for tenant in ["t", "u"] {
        for name in ["1", "2"] {
            t.create(Some(&lease), crate::sample::new_run(tenant, name, "w")?).await?;
        }
    }
    let mut all = Vec::new();
    for tenant in ["t", "u"] {
        for name in ["1", "2"] {
            all.push(Message { run: key(tenant, name)?, ..message("1", 1)? });
        }
    }
    same(t.store.send(all).await?, vec![Sent::Accepted; 4])?;
    let received = receive(&t, &lease, None, 10).await?;
    let runs: BTreeSet<_> = received.iter().map(|received| received.message.run.clone()).collect();
    same(runs.len(), 4)?;
    let numbers: Vec<_> = received.iter().filter(|received| received.message.run.tenant.as_str() == "u").collect();
    t.store.acknowledge(lease.token, &numbers.iter().map(|received| received.no).collect::<Vec<_>>()).await?;
    let left = receive(&t, &lease, None, 10).await?;
    same(left.iter().filter(|received| received.message.run.tenant.as_str() == "t").count(), left.len())?;
    same(left.len(), 2)
}

async fn messages_go_when_their_run_is_pruned(t: Trial) -> Found {
    let lease = t.acquire("a", 0).await?;
    let no = t.held(&lease, "1").await?;
    t.store.send(vec![message("1", 1)?, message("1", 2)?]).await?;
    t.turn(&lease, no, 0, 1, Then::End(RunStatus::Succeeded)).await?;
    same(waiting(&t, &lease).await?, vec![0_u8; 0])?;
    same(t.store.prune(at(1_000), 10).await?, 1)?;
    same(send(&t, "1", 1).await?, Some(Sent::NotFound))?;
    // The next run of that name has nothing of it.
    t.held(&lease, "1").await?;
    same(waiting(&t, &lease).await?, vec![0_u8; 0])?;
    same(send(&t, "1", 1).await?, Some(Sent::Accepted))?;
    same(waiting(&t, &lease).await?, vec![1])
}

async fn what_a_run_has_not_acknowledged_can_be_looked_at(t: Trial) -> Found {
    let lease = t.acquire("a", 0).await?;
    let held = t.held(&lease, "1").await?;
    t.free("t", "2", "w").await?;
    let sent = [message("1", 1)?, message("2", 2)?, message("1", 3)?, message("2", 4)?];
    t.store.send(sent.to_vec()).await?;
    let [one, two, three, four] = sent;
    let unread = async |name: &str| t.store.unread(&key("t", name)?).await;
    same(unread("1").await?, vec![one, three.clone()])?;
    same(unread("2").await?, vec![two, four])?;
    same(unread("nobody").await?, vec![])?;
    let received = receive(&t, &lease, None, 10).await?;
    t.store.acknowledge(lease.token, &received.iter().map(|received| received.no).take(1).collect::<Vec<_>>()).await?;
    same(unread("1").await?, vec![three])?;
    t.turn(&lease, held, 0, 1, Then::End(RunStatus::Succeeded)).await?;
    same(unread("1").await?, vec![])
}

async fn summaries_are_given_in_the_order_asked_for(t: Trial) -> Found {
    let lease = t.acquire("a", 0).await?;
    let (one, two) = (t.held(&lease, "1").await?, t.free("u", "2", "w").await?);
    t.turn(&lease, one, 0, 1, Then::Wait(at(50))).await?;
    let keys = [key("u", "2")?, key("t", "2")?, key("t", "1")?, key("u", "2")?];
    let found = t.store.summaries(&keys).await?;
    same(
        found.iter().map(|run| run.as_ref().map(|run| run.no)).collect::<Vec<_>>(),
        vec![Some(two), None, Some(one), Some(two)],
    )?;
    same(found.into_iter().nth(2).flatten(), Some(t.history("t", "1").await?.run))?;
    same(t.store.summaries(&[]).await?, vec![])
}
