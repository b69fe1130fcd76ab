//! How long a configuration takes to load: the default, and one with a million merchants.

use std::fmt::Write;
use std::fs;

use authswitch::app::config::Config;
use criterion::{Criterion, criterion_group, criterion_main};

fn config(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("config");
    group.sample_size(10);
    group.bench_function("load the default", |bencher| {
        bencher.iter(|| Config::load(None).expect("no mistake"));
    });
    let dir = std::env::temp_dir().join(format!("authswitch-bench-{}", std::process::id()));
    fs::create_dir_all(&dir).expect("a folder");
    fs::write(dir.join("switch.toml"), include_str!("../config/switch.toml")).expect("a file");
    fs::write(dir.join("routes.toml"), include_str!("../config/routes.toml")).expect("a file");
    fs::write(dir.join("merchants.csv"), merchants()).expect("a file");
    group.bench_function("load 1M merchants", |bencher| {
        bencher.iter(|| {
            let config = Config::load(Some(&dir)).expect("no mistake");
            assert_eq!(config.routes.merchants().map(|table| table.exact_len()), Some(MERCHANTS));
        });
    });
    group.finish();
    fs::remove_dir_all(&dir).expect("a folder");
}

fn merchants() -> String {
    let mut text = "merchant,region,networks,mcc\n".to_owned();
    let networks = ["ALIPAYPLUS|UNIONPAY", "KAKAOPAY|NAVERPAY|ALIPAYPLUS", "UNIONPAY", "*"];
    let regions = ["CN", "KR", "JP", "TH", "SG"];
    for shop in 0..MERCHANTS {
        let (region, networks) = (regions[shop % regions.len()], networks[shop % networks.len()]);
        writeln!(text, "M{shop:014},{region},{networks},5812").expect("text");
    }
    text
}

const MERCHANTS: usize = 1_000_000;

criterion_group!(benches, config);
criterion_main!(benches);
