//! `dag`: a task for every node, started by the last of those it needs.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::AcqRel, Ordering::Relaxed};
use std::time::Instant;

use tokio::sync::Notify;
use versus_measure::{Ask, Fallible, Figure, PASSES, Shape, median};

struct Dag {
    nodes: Vec<Node>,
    to_do: AtomicUsize,
    done: Notify,
}

struct Node {
    needs: usize,
    needed: AtomicUsize,
    /// The nodes that need this one.
    feeds: Vec<usize>,
}

pub async fn measure(ask: &Ask) -> Fallible<Vec<Figure>> {
    let dag = Arc::new(Dag::new(Shape::of(ask)?, 10_000));
    let mut took = Vec::with_capacity(PASSES);
    for pass in 0..=PASSES {
        let began = Instant::now();
        dag.run().await;
        if pass > 0 {
            took.push(began.elapsed().as_secs_f64() * 1e6 / dag.nodes.len() as f64);
        }
    }
    Ok(vec![Figure::new(&ask.case, median(took), "µs/node")])
}

impl Dag {
    fn new(shape: Shape, count: usize) -> Self {
        let mut nodes: Vec<Node> = (0..count)
            .map(|node| Node { needs: shape.needs(node).len(), needed: AtomicUsize::new(0), feeds: Vec::new() })
            .collect();
        for node in 0..count {
            shape.needs(node).into_iter().for_each(|need| nodes[need].feeds.push(node));
        }
        Self { nodes, to_do: AtomicUsize::new(0), done: Notify::new() }
    }

    async fn run(self: &Arc<Self>) {
        self.to_do.store(self.nodes.len(), Relaxed);
        self.nodes.iter().for_each(|node| node.needed.store(node.needs, Relaxed));
        for (number, _) in self.nodes.iter().enumerate().filter(|(_, node)| node.needs == 0) {
            self.start(number);
        }
        self.done.notified().await;
    }

    fn start(self: &Arc<Self>, number: usize) {
        let dag = self.clone();
        tokio::spawn(async move {
            tokio::task::yield_now().await;
            for &next in &dag.nodes[number].feeds {
                if dag.nodes[next].needed.fetch_sub(1, AcqRel) == 1 {
                    dag.start(next);
                }
            }
            if dag.to_do.fetch_sub(1, AcqRel) == 1 {
                dag.done.notify_one();
            }
        });
    }
}
