//! Real processes, real disks: the original's named tests, faults, fail-over and bad input.

mod backup;
mod bad_input;
mod basic;
mod basic9;
mod bent;
mod disk_full;
mod failover;
mod figures;
mod identity;
mod idle;
mod mutual_tls;
mod public_port;
mod replace;
mod replacement;
mod restart;
mod snapshots;
mod startup_faults;
mod traces;
mod twice;
mod under_load;
mod upgrade;
mod verify;
mod versions;
