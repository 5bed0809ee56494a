//! walk
use model::system::System;
use stateright::Model;
fn main() {
    let name = std::env::args().nth(1).unwrap();
    let n: usize = std::env::args().nth(2).unwrap().parse().unwrap();
    let mut seed: u64 = std::env::args().nth(3).unwrap().parse().unwrap();
    let s = System::new(model::worlds::named(&name).unwrap());
    let mut st = s.init_states().remove(0);
    for _ in 0..n {
        let ns = s.next_steps(&st);
        if ns.is_empty() { println!("end"); break; }
        seed = seed.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        let k = (seed >> 33) as usize % ns.len();
        println!("{}", s.tell(&st, Some(ns[k].0)));
        st = ns[k].1.clone();
    }
    println!("=== network");
    for l in s.network(&st) { println!("{l}"); }
    println!("next: {}", s.next_steps(&st).len());
}
