//! Simulated worlds, and that they find what they are there to find.

use fastn_testkit::simulation::Simulation;

/// How many worlds are simulated: more on demand.
fn worlds() -> u64 {
    std::env::var("FASTN_SIMULATED_WORLDS").ok().and_then(|text| text.parse().ok()).unwrap_or(1_000)
}

fn first() -> u64 {
    std::env::var("FASTN_FIRST_WORLD").ok().and_then(|text| text.parse().ok()).unwrap_or(0)
}

#[test]
fn whatever_goes_wrong_what_is_promised_is_kept() {
    let simulated =
        Simulation::new().seeds(first()..first() + worlds()).run().unwrap_or_else(|broken| panic!("{broken}"));
    println!("{simulated:?}");
    assert!(simulated.lives > simulated.worlds * 2, "{simulated:?}");
}

#[test]
fn a_seed_is_a_world_to_the_letter() {
    let simulation = Simulation::new();
    for seed in 0..30 {
        assert_eq!(simulation.seed(seed), simulation.seed(seed));
    }
}

#[test]
fn survey() {
    let mut kinds = std::collections::BTreeMap::<String, (u64, Vec<u64>, String)>::new();
    let begun = std::time::Instant::now();
    for seed in first()..first() + worlds() {
        if let Err(broken) = Simulation::new().seeds(seed..seed + 1).run() {
            let entry = kinds.entry(broken.invariant.to_string()).or_insert_with(|| (0, vec![], broken.to_string()));
            entry.0 += 1;
            entry.1.push(seed);
            if broken.to_string().len() < entry.2.len() {
                entry.2 = broken.to_string();
            }
        }
    }
    for (kind, (count, seeds, shortest)) in kinds {
        println!("==== {kind}: {count} {:?}", &seeds[..seeds.len().min(8)]);
        let lines: Vec<&str> = shortest.lines().collect();
        for line in lines.iter().take(1).chain(lines.iter().skip(1).rev().take(45).rev()) {
            println!("{line}");
        }
    }
    println!("took {:?}", begun.elapsed());
}

#[test]
fn one() {
    let world = Simulation::new().seed(first());
    for line in world.trace.lines().take(usize::try_from(worlds()).unwrap()) {
        println!("{line}");
    }
}
