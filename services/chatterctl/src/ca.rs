//! `chatterctl ca`: the authority of clusters that have no other one.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use tls::authority::Authority;
use tls::{Identity, Role};

use crate::cli::{CaArgs, CaCommand};
use crate::output::Output;

/// Between two looks at what has to be renewed.
pub(crate) const LOOK_EVERY: Duration = Duration::from_secs(3600);
/// Where the authority is, beside the certificates.
const AUTHORITY: &str = "ca";
const DAY: Duration = Duration::from_secs(24 * 3600);

pub(crate) async fn run(command: CaCommand, output: &mut Output) -> anyhow::Result<ExitCode> {
    match command {
        CaCommand::Ensure(args) => {
            let look = || ensure(&args.ca.dir, &args.ca.cluster, lives(&args.ca));
            say(&look()?, output)?;
            if args.follow {
                follow(&look, output).await?;
            }
        }
        CaCommand::Issue(args) => {
            let role: Role = args.role.parse().context("--role")?;
            let identity = Identity::new(&args.ca.cluster, role).context("--cluster")?;
            let authority =
                Authority::open_or_create(&args.ca.dir.join(AUTHORITY), &args.ca.cluster)?;
            let into = args.into.unwrap_or_else(|| place(&args.ca.dir, role));
            authority.issue(&identity, lives(&args.ca), &into)?;
            say(&[(identity, into)], output)?;
        }
        CaCommand::Show { directory } => {
            let found = tls::inspect(&directory)?;
            output.line(&format!(
                "{}, serial {}, good for {} days",
                found.identity, found.serial, found.days
            ))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

async fn follow(
    look: &impl Fn() -> anyhow::Result<Vec<(Identity, PathBuf)>>,
    output: &mut Output,
) -> anyhow::Result<()> {
    let shutdown = ops::shutdown::on_signals().context("listen to signals")?;
    loop {
        let nap = tokio::time::sleep(LOOK_EVERY);
        if shutdown.run_until_cancelled(nap).await.is_none() {
            return Ok(());
        }
        say(&look()?, output)?;
    }
}

fn lives(args: &CaArgs) -> Duration {
    DAY * u32::try_from(args.days).unwrap_or(u32::MAX)
}

fn say(made: &[(Identity, PathBuf)], output: &mut Output) -> anyhow::Result<()> {
    for (identity, into) in made {
        output.line(&format!(
            "a new certificate: {identity}, in {}",
            into.display()
        ))?;
    }
    Ok(())
}

/// The directory of a role's certificate.
pub(crate) fn place(directory: &Path, role: Role) -> PathBuf {
    directory.join(role.name())
}

/// The authority and a good certificate of every role; which ones are new.
pub(crate) fn ensure(
    directory: &Path,
    cluster: &str,
    lives: Duration,
) -> anyhow::Result<Vec<(Identity, PathBuf)>> {
    let authority = Authority::open_or_create(&directory.join(AUTHORITY), cluster)?;
    let mut made = Vec::new();
    for role in Role::ALL {
        let identity = Identity::new(cluster, role)?;
        let into = place(directory, role);
        if authority.ensure(&identity, lives, &into)? {
            made.push((identity, into));
        }
    }
    Ok(made)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_time_nothing_is_to_be_done() {
        let place = tempfile::tempdir().expect("directory");
        let made = ensure(place.path(), "test", DAY).expect("made");
        assert_eq!(made.len(), Role::ALL.len());
        assert!(ensure(place.path(), "test", DAY).expect("there").is_empty());
        assert!(ensure(place.path(), "a/b", DAY).is_err());
    }
}
