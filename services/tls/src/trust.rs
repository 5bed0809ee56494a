//! The certificate in use, and how a new one takes its place without a restart.
//!
//! In: a directory that somebody else writes (the local authority, Kubernetes). Out: what
//! the next handshake uses. Must hold: files that cannot be used never replace those that can;
//! open connections go on with what they began with.

use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, SystemTime};

use tokio::time::{Instant, sleep};

use crate::complaint::Complaint;
use crate::identity::{Identity, Role};
use crate::limits::{ENDS_SOON, ENDS_SOON_SAID_EVERY, LOOK_EVERY};
use crate::material::{Error, Files, Material};

/// The certificate of this process and whom it believes.
#[derive(Debug)]
pub(crate) struct Trust {
    directory: PathBuf,
    current: RwLock<Arc<Material>>,
}

impl Trust {
    /// Reads the directory; the certificate must be of one of these roles.
    pub(crate) fn load(directory: &Path, roles: &[Role]) -> Result<(Arc<Self>, Files), Error> {
        let files = Files::read(directory)?;
        let material = Material::new(&files, directory)?;
        if !roles.contains(&material.identity.role) {
            return Err(Error::Role {
                directory: directory.to_owned(),
                found: material.identity,
                wanted: names(roles),
            });
        }
        let trust = Self {
            directory: directory.to_owned(),
            current: RwLock::new(Arc::new(material)),
        };
        Ok((Arc::new(trust), files))
    }

    /// What the next handshake uses.
    pub(crate) fn current(&self) -> Arc<Material> {
        let current = self.current.read().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(&current)
    }

    /// Who this process is.
    pub(crate) fn identity(&self) -> Identity {
        self.current().identity.clone()
    }

    /// Looks at the files again and again, until nobody else has this trust.
    pub(crate) async fn follow(self: Arc<Self>, mut known: Files) {
        let mut warned = None;
        let mut complaint = Complaint::default();
        while Arc::strong_count(&self) > 1 {
            self.warn_of_the_end(&mut warned);
            sleep(LOOK_EVERY).await;
            let fault = match self.look(&mut known).await {
                Ok(()) => String::new(),
                Err(error) => error.to_string(),
            };
            if complaint.is_due(&fault) {
                tracing::error!(
                    why = fault,
                    "a new certificate cannot be used; the one before it stays in use"
                );
            }
        }
    }

    async fn look(&self, known: &mut Files) -> Result<(), Error> {
        let directory = self.directory.clone();
        let before = known.clone();
        let looked = tokio::task::spawn_blocking(move || {
            let files = Files::read(&directory)?;
            if files == before {
                return Ok(None);
            }
            let material = Material::new(&files, &directory)?;
            Ok::<_, Error>(Some((files, material)))
        });
        // A task that is aborted at the end of the runtime has nothing to say.
        let Ok(looked) = looked.await else {
            return Ok(());
        };
        let Some((files, material)) = looked? else {
            return Ok(());
        };
        let own = self.identity();
        if material.identity != own {
            return Err(Error::Role {
                directory: self.directory.clone(),
                found: material.identity,
                wanted: own.to_string(),
            });
        }
        tracing::info!(
            serial = material.serial,
            days = days_left(material.ends),
            "a new certificate is in use"
        );
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(material);
        *known = files;
        Ok(())
    }

    fn warn_of_the_end(&self, warned: &mut Option<Instant>) {
        let current = self.current();
        let left = current.ends.duration_since(SystemTime::now());
        let left = left.unwrap_or(Duration::ZERO);
        let said = warned.is_some_and(|said| said.elapsed() < ENDS_SOON_SAID_EVERY);
        if left > ENDS_SOON || said {
            return;
        }
        *warned = Some(Instant::now());
        let (hours, serial) = (left.as_secs() / 3600, &current.serial);
        let directory = self.directory.display().to_string();
        if left.is_zero() {
            tracing::error!(
                serial,
                directory,
                "the certificate has expired: new connections fail"
            );
        } else {
            tracing::warn!(
                serial,
                hours,
                directory,
                "the certificate ends soon; renew it"
            );
        }
    }
}

fn names(roles: &[Role]) -> String {
    let names: Vec<&str> = roles.iter().map(|role| role.name()).collect();
    names.join(" or ")
}

pub(crate) fn days_left(ends: SystemTime) -> u64 {
    let left = ends.duration_since(SystemTime::now());
    left.unwrap_or(Duration::ZERO).as_secs() / (24 * 3600)
}
