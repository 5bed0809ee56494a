//! Passwords: argon2id, in a bounded pool of threads.
//!
//! In: what a person typed. Out: a PHC string for the replicas, or whether it is the right one.
//! Must hold: a password leaves this gateway only as a PHC string with a salt of its own; a wrong
//! name takes as long as a wrong password; so many of these at once as there is a bound for, since
//! each one takes memory and a core. Source of the defaults: OWASP Password Storage Cheat Sheet
//! (argon2id, 19 MiB, 2 passes, 1 lane).

use std::sync::{Arc, OnceLock};

use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher as _, PasswordVerifier as _};
use argon2::{Algorithm, Argon2, Params, Version};
use rand::Rng as _;
use tokio::sync::Semaphore;

use crate::config::Options;
use crate::errors::Error;
use crate::frames::Password;
use crate::limits::{PASSWORD_BYTES_MAX, PASSWORD_CHARS_MIN, PASSWORDS_WAITING_MAX};

/// Bytes of a salt: as RFC 9106 recommends.
const SALT_BYTES: usize = 16;

/// The pool.
#[derive(Debug)]
pub(crate) struct Passwords {
    params: Params,
    /// One per thread that works.
    workers: Arc<Semaphore>,
    /// Those at work and those that wait.
    places: Semaphore,
    /// What a password is verified against when there is no account, of the same cost.
    nobodys: Arc<OnceLock<String>>,
}

impl Passwords {
    /// With the cost of the options, which were validated.
    pub(crate) fn new(options: &Options) -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        // Half of the machine at most: the sockets need the rest.
        let workers = (cores / 2).max(1);
        Self {
            params: params(options).unwrap_or_default(),
            workers: Arc::new(Semaphore::new(workers)),
            places: Semaphore::new(workers + PASSWORDS_WAITING_MAX),
            nobodys: Arc::default(),
        }
    }

    /// What the replicas keep of it.
    pub(crate) async fn hash(&self, password: Password) -> Result<String, Error> {
        let params = self.params.clone();
        let phc = self.work(move || phc_of(&params, &password)).await?;
        phc.ok_or_else(|| Error::internal("the password could not be hashed"))
    }

    /// Whether it is the one of which `phc` was made. Against an empty `phc`, which stands for no
    /// account or no password, the answer is no and takes as long.
    pub(crate) async fn verify(&self, password: Password, phc: String) -> Result<bool, Error> {
        let (params, nobodys) = (self.params.clone(), Arc::clone(&self.nobodys));
        self.work(move || {
            let exists = !phc.is_empty();
            let stand_in = || phc_of(&params, &Password(String::new())).unwrap_or_default();
            let phc = if exists {
                &phc
            } else {
                nobodys.get_or_init(stand_in)
            };
            let Ok(hash) = PasswordHash::new(phc) else {
                return false;
            };
            // The cost is the one in `hash`, not that of this instance.
            let verified = Argon2::default().verify_password(password.0.as_bytes(), &hash);
            exists && verified.is_ok()
        })
        .await
    }

    async fn work<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Error> {
        let _place = self
            .places
            .try_acquire()
            .map_err(|_| Error::overloaded("too many people sign in at once", 1000))?;
        let gone = || Error::internal("the gateway stops");
        let worker = Arc::clone(&self.workers).acquire_owned().await;
        let worker = worker.map_err(|_| gone())?;
        let work = move || {
            // With the work, not with the request: one that was given up still takes a core.
            let _worker = worker;
            work()
        };
        tokio::task::spawn_blocking(work).await.map_err(|_| gone())
    }
}

/// The cost that the options ask for.
pub(crate) fn params(options: &Options) -> Option<Params> {
    Params::new(options.argon2_memory_kib, options.argon2_passes, 1, None).ok()
}

/// Whether it may be set: NIST SP 800-63B asks for a length and against rules of composition.
pub(crate) fn require_strong(password: &Password) -> Result<(), Error> {
    let chars = password.0.chars().count();
    if chars < PASSWORD_CHARS_MIN || password.0.len() > PASSWORD_BYTES_MAX {
        return Err(Error::bad_request(format!(
            "password: {PASSWORD_CHARS_MIN} characters to {PASSWORD_BYTES_MAX} bytes are allowed"
        )));
    }
    Ok(())
}

fn phc_of(params: &Params, password: &Password) -> Option<String> {
    let mut salt = [0; SALT_BYTES];
    rand::rng().fill(&mut salt);
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params.clone());
    let hash = argon2.hash_password_with_salt(password.0.as_bytes(), &salt);
    hash.ok().map(|hash: PasswordHash| hash.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cheap() -> Passwords {
        Passwords::new(&Options {
            argon2_memory_kib: 8,
            argon2_passes: 1,
            ..Options::default()
        })
    }

    fn password(text: &str) -> Password {
        Password(text.to_owned())
    }

    /// Property: only the password verifies, twice the same one has two hashes, and none of them
    /// contains it.
    #[tokio::test]
    async fn only_the_right_one_verifies() {
        let passwords = cheap();
        let one = passwords.hash(password("correct horse")).await.unwrap();
        let two = passwords.hash(password("correct horse")).await.unwrap();
        assert_ne!(one, two, "each has a salt of its own");
        assert!(one.starts_with("$argon2id$v=19$m=8,t=1,p=1$"), "{one}");
        assert!(!one.contains("correct"));
        for (typed, phc, wanted) in [
            ("correct horse", &one, true),
            ("correct horse", &two, true),
            ("Correct horse", &one, false),
            ("", &one, false),
            ("correct horse", &"$argon2id$nonsense".to_owned(), false),
        ] {
            let verified = passwords.verify(password(typed), phc.clone()).await;
            assert_eq!(verified.unwrap(), wanted, "{typed:?} {phc}");
        }
    }

    /// Property: nobody's account is not opened by anything, the empty password of the stand-in
    /// included.
    #[tokio::test]
    async fn nobody_signs_in_as_nobody() {
        let passwords = cheap();
        for typed in ["", "anything"] {
            let verified = passwords.verify(password(typed), String::new()).await;
            assert!(!verified.unwrap());
        }
    }

    /// Property: the defaults are those of the source; a cost that argon2 cannot do is none.
    #[test]
    fn the_defaults_are_secure() {
        let options = Options::default();
        let params = params(&options).unwrap();
        assert_eq!((params.m_cost(), params.t_cost()), (19 * 1024, 2));
        assert!(
            super::params(&Options {
                argon2_memory_kib: 0,
                ..options
            })
            .is_none()
        );
    }

    /// Property: a password does not get into a log by `Debug`.
    #[test]
    fn a_password_is_not_shown() {
        assert!(!format!("{:?}", password("correct horse")).contains("horse"));
    }

    #[test]
    fn short_and_endless_ones_are_refused() {
        for (text, wanted) in [
            ("1234567".to_owned(), false),
            ("12345678".to_owned(), true),
            ("äöüäöüäö".to_owned(), true),
            ("x".repeat(PASSWORD_BYTES_MAX), true),
            ("x".repeat(PASSWORD_BYTES_MAX + 1), false),
        ] {
            assert_eq!(require_strong(&Password(text)).is_ok(), wanted);
        }
    }
}
