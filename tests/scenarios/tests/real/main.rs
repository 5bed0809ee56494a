//! Real processes, real disks: the original's named tests, faults, fail-over and bad input.

mod bad_input;
mod basic;
mod disk_full;
mod failover;
mod identity;
mod idle;
mod replace;
mod restart;
mod snapshots;
mod startup_faults;
mod under_load;
