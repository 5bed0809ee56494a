//! The local authority: for clusters that no other one gives certificates to, which are those on
//! one machine and those of compose.
//!
//! In: a directory with `ca.crt` and `ca.key`, made at first use. Out: directories of services.
//! Must hold: a certificate that is good and has time left is not replaced; files are replaced
//! whole; keys are readable by their owner alone.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use rcgen::string::Ia5String;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, SanType,
};

use crate::identity::{Identity, Unfit};
use crate::material::{CA_FILE, CERTIFICATE_FILE, Files, KEY_FILE, Material};

/// The key of the authority. Nobody but the authority reads it.
pub const CA_KEY_FILE: &str = "ca.key";
/// How long an authority lives: as long as a cluster that nobody touches.
const AUTHORITY_LIVES: Duration = Duration::from_secs(10 * 365 * 24 * 3600);
/// How long a certificate lives unless another time is asked for.
pub const CERTIFICATE_LIVES: Duration = Duration::from_secs(90 * 24 * 3600);
/// Clocks of two machines may differ by this much.
const CLOCKS_DIFFER: Duration = Duration::from_secs(300);

/// A certificate could not be issued.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file or directory failed.
    #[error("{doing} {path}: {source}")]
    File {
        /// What was tried.
        doing: &'static str,
        /// With which file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// What is in the authority's directory is not one.
    #[error("the authority in {path} cannot be used: {source}")]
    Authority {
        /// Its directory.
        path: PathBuf,
        /// What rcgen said.
        source: rcgen::Error,
    },
    /// Half of an authority.
    #[error(
        "{path} has one of {CA_FILE} and {CA_KEY_FILE}, not both: bring the other one back, or \
         delete the directory to make a new authority"
    )]
    Half {
        /// Its directory.
        path: PathBuf,
    },
    /// The certificate cannot be made.
    #[error("make a certificate: {0}")]
    Issue(#[from] rcgen::Error),
    /// Such a cluster cannot stand in a certificate.
    #[error(transparent)]
    Name(#[from] Unfit),
}

/// An authority with its key.
pub struct Authority {
    directory: PathBuf,
    /// Its certificate; others may stand behind it while one authority follows another.
    certificates: String,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    /// The one in `directory`, or a new one, when the directory has none.
    ///
    /// # Errors
    /// When the files cannot be used or written.
    pub fn open_or_create(directory: &Path, cluster: &str) -> Result<Self, Error> {
        let (certificate, key) = (directory.join(CA_FILE), directory.join(CA_KEY_FILE));
        match (certificate.exists(), key.exists()) {
            (true, true) => Self::open(directory),
            (false, false) => Self::create(directory, cluster),
            _ => Err(Error::Half {
                path: directory.to_owned(),
            }),
        }
    }

    fn open(directory: &Path) -> Result<Self, Error> {
        let read = |name: &str| {
            let path = directory.join(name);
            fs::read_to_string(&path).map_err(|source| Error::File {
                doing: "read",
                path,
                source,
            })
        };
        let wrong = |source| Error::Authority {
            path: directory.to_owned(),
            source,
        };
        let certificates = read(CA_FILE)?;
        let key = KeyPair::from_pem(&read(CA_KEY_FILE)?).map_err(wrong)?;
        let issuer = Issuer::from_ca_cert_pem(&certificates, key).map_err(wrong)?;
        Ok(Self {
            directory: directory.to_owned(),
            certificates,
            issuer,
        })
    }

    fn create(directory: &Path, cluster: &str) -> Result<Self, Error> {
        let mut params = lives(AUTHORITY_LIVES);
        let name = format!("Chatterbox authority of {cluster}");
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let key = KeyPair::generate()?;
        let certificates = params.self_signed(&key)?.pem();
        make(directory)?;
        // The certificate last: with it the authority is complete.
        write(&directory.join(CA_KEY_FILE), &key.serialize_pem(), 0o600)?;
        write(&directory.join(CA_FILE), &certificates, 0o644)?;
        Ok(Self {
            directory: directory.to_owned(),
            certificates,
            issuer: Issuer::new(params, key),
        })
    }

    /// Where it is.
    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Writes a new certificate that lives for `valid` from now into the directory of a service.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub fn issue(&self, to: &Identity, valid: Duration, into: &Path) -> Result<(), Error> {
        let mut params = lives(valid);
        params.distinguished_name = rcgen::DistinguishedName::new();
        params
            .distinguished_name
            .push(DnType::CommonName, to.role.name());
        params.subject_alt_names = vec![SanType::URI(Ia5String::try_from(to.uri())?)];
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![
            ExtendedKeyUsagePurpose::ServerAuth,
            ExtendedKeyUsagePurpose::ClientAuth,
        ];
        params.use_authority_key_identifier_extension = true;
        let key = KeyPair::generate()?;
        let certificate = params.signed_by(&key, &self.issuer)?.pem();
        make(into)?;
        write(&into.join(CA_FILE), &self.certificates, 0o644)?;
        write(&into.join(KEY_FILE), &key.serialize_pem(), 0o600)?;
        write(&into.join(CERTIFICATE_FILE), &certificate, 0o644)
    }

    /// As [`Authority::issue`], unless the directory has a certificate that is good and has more
    /// than a third of that time left. Whether a new one was made.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub fn ensure(&self, to: &Identity, valid: Duration, into: &Path) -> Result<bool, Error> {
        let same_authority =
            fs::read_to_string(into.join(CA_FILE)).is_ok_and(|text| text == self.certificates);
        let found = Files::read(into).and_then(|files| Material::new(&files, into));
        let good = found.is_ok_and(|material| {
            let left = material.ends.duration_since(SystemTime::now());
            material.identity == *to && left.is_ok_and(|left| left > valid / 3)
        });
        if same_authority && good {
            return Ok(false);
        }
        self.issue(to, valid, into)?;
        Ok(true)
    }
}

fn lives(valid: Duration) -> CertificateParams {
    let mut params = CertificateParams::default();
    let now = SystemTime::now();
    params.not_before = (now - CLOCKS_DIFFER).into();
    params.not_after = (now + valid).into();
    params
}

fn make(directory: &Path) -> Result<(), Error> {
    fs::create_dir_all(directory).map_err(|source| Error::File {
        doing: "make the directory",
        path: directory.to_owned(),
        source,
    })
}

/// Replaces a file whole: whoever reads it meanwhile sees the old one or the new one.
fn write(path: &Path, text: &str, mode: u32) -> Result<(), Error> {
    let temporary = path.with_extension("new");
    let written = || -> io::Result<()> {
        match fs::remove_file(&temporary) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        // Its mode from the first moment on: a key is never readable by others.
        let mut options = OpenOptions::new();
        let mut file: File = options
            .write(true)
            .create_new(true)
            .mode(mode)
            .open(&temporary)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(&temporary, path)
    };
    written().map_err(|source| Error::File {
        doing: "write",
        path: path.to_owned(),
        source,
    })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;
    use crate::identity::Role;

    const DAY: Duration = Duration::from_secs(24 * 3600);

    #[test]
    fn a_good_certificate_stays_and_an_old_one_goes() {
        let place = tempfile::tempdir().unwrap();
        let (ca, into) = (place.path().join("ca"), place.path().join("replica"));
        let replica = Identity::new("test", Role::Replica).unwrap();
        let authority = Authority::open_or_create(&ca, "test").unwrap();
        assert!(authority.ensure(&replica, DAY, &into).unwrap());
        let first = fs::read(into.join(CERTIFICATE_FILE)).unwrap();
        let again = Authority::open_or_create(&ca, "test").unwrap();
        assert!(!again.ensure(&replica, DAY, &into).unwrap());
        assert_eq!(fs::read(into.join(CERTIFICATE_FILE)).unwrap(), first);
        // A day of ninety is less than a third.
        assert!(again.ensure(&replica, 90 * DAY, &into).unwrap());
        let gateway = Identity::new("test", Role::Gateway).unwrap();
        assert!(again.ensure(&gateway, DAY, &into).unwrap(), "another role");
        let other = Authority::open_or_create(&place.path().join("other"), "test").unwrap();
        assert!(
            other.ensure(&gateway, DAY, &into).unwrap(),
            "another authority"
        );
    }

    #[test]
    fn keys_are_readable_by_their_owner_alone() {
        let place = tempfile::tempdir().unwrap();
        let (ca, into) = (place.path().join("ca"), place.path().join("g"));
        let authority = Authority::open_or_create(&ca, "test").unwrap();
        let gateway = Identity::new("test", Role::Gateway).unwrap();
        authority.issue(&gateway, DAY, &into).unwrap();
        for key in [ca.join(CA_KEY_FILE), into.join(KEY_FILE)] {
            let mode = fs::metadata(&key).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600, "{}", key.display());
        }
    }

    #[test]
    fn half_an_authority_is_none() {
        let place = tempfile::tempdir().unwrap();
        Authority::open_or_create(place.path(), "test").unwrap();
        fs::remove_file(place.path().join(CA_KEY_FILE)).unwrap();
        let error = Authority::open_or_create(place.path(), "test")
            .err()
            .unwrap();
        assert!(
            error.to_string().contains("bring the other one back"),
            "{error}"
        );
    }
}
