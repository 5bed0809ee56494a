//! Many people who chat over WebSockets, each of whom writes down everything that was said to
//! them, for the checker.
