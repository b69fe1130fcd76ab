//! The judge is judged: each mistake that can be planted must be found, and soon.

use authswitch::switch::Setup;
use authswitch::switch::bug::Bug;

use crate::oracle::Breach;
use crate::{ONCE_BROKEN, STEPS, run, scenarios, steps, world};

/// Seeds within which each mistake must be found.
const SEEDS_MAX: u64 = 1200;

/// What they do not find is found by the seeds that are kept because they found something, or by
/// crashes everywhere in so many variants of the scenarios.
const VARIANTS_MAX: u64 = 48;

#[test]
fn bugs_are_found() {
    // What the planted mistakes trip over is expected here, and there would be pages of it.
    std::panic::set_hook(Box::new(|_| ()));
    let half = |which: usize| -> Vec<(usize, String, bool)> {
        let from = crate::knob("SIM_BUGS_FROM", 0) as usize;
        let places = (from..Bug::ALL.len().min(crate::knob("SIM_BUGS_TO", 999) as usize))
            .filter(|place| place % 2 == which);
        places
            .map(|place| (place, Bug::ALL[place]))
            .map(|(place, (bug, what))| {
                let found = find(bug);
                let told = match &found {
                    Some((seeds, Breach { rule, .. })) => format!("| {what} | {rule} | {seeds} |"),
                    None => format!("| {what} | not found | - |"),
                };
                (place, told, found.is_some())
            })
            .collect()
    };
    let mut rows: Vec<(usize, String, bool)> = std::thread::scope(|scope| {
        let workers = [0, 1].map(|which| scope.spawn(move || half(which)));
        workers.into_iter().flat_map(|worker| worker.join().expect("it ends")).collect()
    });
    rows.sort_unstable();
    println!("| mistake | rule | seeds |\n| --- | --- | --- |");
    rows.iter().for_each(|(_, row, _)| println!("{row}"));
    let missed: Vec<&str> =
        rows.iter().filter(|(.., found)| !found).map(|(_, row, _)| row.as_str()).collect();
    assert!(missed.is_empty(), "\n{}\n", missed.join("\n"));
}

/// How many seeds it takes, and the rule that is broken; or in which scenario.
fn find(bug: Bug) -> Option<(String, Breach)> {
    let setup = Setup { bug: Some(bug), ..world::setup() };
    let of_seed = |seed| Some((format!("{}", seed + 1), run(seed, steps(), &setup).err()?.0));
    let in_scenarios = |seed| {
        let (_, findings) = scenarios::crash_all(&setup, &(seed..seed + 1), 0);
        let (name, _, breach) = findings.into_iter().next()?;
        Some((name.split(", seed").next().unwrap_or_default().to_owned(), breach))
    };
    let of_kept = |seed| Some((format!("seed {seed}"), run(seed, STEPS, &setup).err()?.0));
    let seeds = crate::knob("SIM_BUGS_SEEDS", SEEDS_MAX);
    let found = (0..seeds).find_map(of_seed);
    let found = found.or_else(|| ONCE_BROKEN.into_iter().find_map(of_kept));
    found.or_else(|| (0..VARIANTS_MAX).find_map(in_scenarios))
}
