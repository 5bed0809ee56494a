//! The time of one step of each path: `cargo bench -p hotpaths`.

#![allow(missing_docs, reason = "criterion makes functions without")]

use criterion::{Criterion, criterion_group, criterion_main};
use hotpaths::Hotpath;

fn steps(criterion: &mut Criterion) {
    for path in Hotpath::ALL {
        let mut step = match path.ready() {
            Ok(step) => step,
            Err(error) => panic!("{}: {error:#}", path.name()),
        };
        criterion.bench_function(path.name(), |bencher| {
            bencher.iter(|| {
                if let Err(error) = step() {
                    panic!("{}: {error:#}", path.name());
                }
            });
        });
    }
}

criterion_group!(benches, steps);
criterion_main!(benches);
