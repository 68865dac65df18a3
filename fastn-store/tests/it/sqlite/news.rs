//! What other processes do is noticed.

use std::time::{Duration, Instant};

use fastn_store::{Mailbox, Message, News, NewsAsk, ReceiveAsk, RunStatus, Sent, SqliteStore, Store, Then};

use super::open;
use crate::support::{acquire, claim, commit, create, key, new_run, turn};

/// Waits until nothing is new that was done before: a look that finds nothing takes longer than this.
async fn all_heard(store: &SqliteStore) -> News {
    let mut since = News::default();
    while let Ok(news) =
        tokio::time::timeout(Duration::from_millis(200), store.news(NewsAsk { since, ends: true })).await
    {
        since = news.unwrap();
    }
    since
}

#[tokio::test]
async fn what_another_store_of_the_same_file_does_is_news() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("runs.db");
    let (here, there) = (open(&path).await, open(&path).await);
    let lease = acquire(&there, "there", 0).await.unwrap();
    let mut since = all_heard(&here).await;
    let no = create(&there, Some(&lease), new_run("t", "1", "w")).await;
    for done in 0..3 {
        let news = here.news(NewsAsk { since, ends: true });
        let (news, ()) = tokio::join!(news, async {
            match done {
                0 => drop(create(&there, None, new_run("t", "2", "w")).await),
                1 => {
                    commit(&there, &lease, vec![turn(no, 0, 1, Then::End(RunStatus::Failed))]).await.map(drop).unwrap()
                }
                _ => there.release(&lease).await.unwrap(),
            }
        });
        assert_ne!(news.unwrap(), since, "{done}");
        since = all_heard(&here).await;
    }
}

#[tokio::test]
async fn what_the_store_commits_itself_is_not_taken_for_the_doing_of_others() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder.path().join("runs.db")).await;
    let lease = acquire(&store, "a", 0).await.unwrap();
    let since = all_heard(&store).await;
    let mut news = std::pin::pin!(store.news(NewsAsk { since, ends: false }));
    let ended = Instant::now() + Duration::from_millis(300);
    let mut name = 0;
    while Instant::now() < ended {
        name += 1;
        let no = create(&store, Some(&lease), new_run("t", &name.to_string(), "w")).await;
        commit(&store, &lease, vec![turn(no, 0, 1, Then::End(RunStatus::Failed))]).await.unwrap();
        tokio::select! {
            biased;
            news = &mut news => panic!("{news:?} after {since:?} and {name} runs"),
            () = std::future::ready(()) => {}
        }
    }
}

#[tokio::test]
async fn a_message_crosses_from_one_store_to_the_other() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("runs.db");
    let (holder, other) = (open(&path).await, open(&path).await);
    let free = create(&other, None, new_run("t", "1", "w")).await;
    let lease = acquire(&holder, "a", 0).await.unwrap();
    assert_eq!(claim(&holder, &lease, 0, &["w"], 9).await.unwrap(), [free]);
    let mut since = all_heard(&holder).await;
    let message = Message { id: [1; 16], run: key("t", "1"), body: "stop".into(), sent_at: lease.until };
    assert_eq!(other.send(vec![message.clone()]).await.unwrap(), [Sent::Accepted]);
    let ask = ReceiveAsk { lease: lease.token, after: None, limit: 9 };
    let received = loop {
        since = holder.news(NewsAsk { since, ends: false }).await.unwrap();
        let received = holder.receive(ask.clone()).await.unwrap();
        if !received.is_empty() {
            break received;
        }
    };
    assert_eq!(received[0].message, message);
    holder.acknowledge(lease.token, &[received[0].no]).await.unwrap();
    // What an ended run left is given to nobody, and its id is known.
    assert_eq!(other.send(vec![Message { id: [2; 16], ..message.clone() }]).await.unwrap(), [Sent::Accepted]);
    commit(&holder, &lease, vec![turn(free, 0, 1, Then::End(RunStatus::Failed))]).await.unwrap();
    for _ in 0..2 {
        assert_eq!(holder.receive(ask.clone()).await.unwrap(), []);
    }
    assert_eq!(other.send(vec![Message { id: [2; 16], ..message }]).await.unwrap(), [Sent::Known]);
}

/// How long this process has used a processor.
#[cfg(target_os = "linux")]
fn processor_time() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<&str> = stat.rsplit(") ").next().unwrap().split(' ').collect();
    let ticks: u64 = fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap();
    Duration::from_millis(ticks * 10)
}

/// Set for a copy of this program that does nothing but wait.
#[cfg(target_os = "linux")]
const IDLE: &str = "FASTN_TEST_IDLE";

/// Not a test of its own: what the copy does, undisturbed by other tests. Without the variable it has nothing to do.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn idle() {
    if std::env::var(IDLE).is_err() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder.path().join("runs.db")).await;
    let since = all_heard(&store).await;
    let (before, span) = (processor_time(), Duration::from_secs(3));
    let waited = tokio::time::timeout(span, store.news(NewsAsk { since, ends: true })).await;
    assert!(waited.is_err(), "{waited:?}");
    let used = processor_time() - before;
    println!("{used:?} in {span:?}");
    assert!(used <= span / 100, "{used:?} in {span:?}");
}

#[cfg(target_os = "linux")]
#[test]
fn waiting_costs_less_than_a_hundredth_of_a_processor() {
    let mut copy = std::process::Command::new(std::env::current_exe().unwrap());
    let output = copy.args(["--exact", "sqlite::news::idle", "--nocapture"]).env(IDLE, "1").output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.contains(" in 3s"), "{said}{}", String::from_utf8_lossy(&output.stderr));
    println!("{said}");
}
