//! The command line.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

/// Operates a Chatterbox cluster from the terminal.
#[derive(Debug, Parser)]
#[command(name = "chatterctl", version, arg_required_else_help = true)]
pub(crate) struct Cli {
    /// Speak with the services by TLS, with ca.crt, tls.crt and tls.key of this directory
    /// [default: the operator's certificate of the local cluster, if there is one].
    #[arg(long, global = true, env = "CHATTERBOX_TLS", value_name = "DIR")]
    pub(crate) tls: Option<OsString>,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Start a local cluster and wait until it is ready.
    Up(UpArgs),
    /// Stop the local cluster. The data stays.
    Down(DataArgs),
    /// Show who leads, who follows, who lags. Exits with 1 when there is no quorum.
    Status(StatusArgs),
    /// The nodes of the cluster: list them, drain or replace a voter, hand the lead over.
    #[command(subcommand)]
    Node(NodeCommand),
    /// Copy the state of a running cluster into a new directory.
    Backup(BackupArgs),
    /// Make the data of a new cluster from a backup. The new cluster is started afterwards.
    Restore(RestoreArgs),
    /// Make the data of a new cluster from a stopped replica whose cluster has lost its majority
    /// for good. Says what may be lost, and asks.
    Rescue(RescueArgs),
    /// Compare the logs and states of all replicas. Exits with 1 when one differs.
    Verify(WhereArgs),
    /// Show the replicated log as one replica has it.
    Log(LogArgs),
    /// Show what the processes of the local cluster log.
    Logs(LogsArgs),
    /// Kill a process of the local cluster (SIGKILL); the supervisor restarts it.
    Kill(NameArgs),
    /// Let a process of the local cluster hang (SIGSTOP), as a machine does that hangs.
    Pause(NameArgs),
    /// Let a paused process go on (SIGCONT).
    Resume(NameArgs),
    /// Talk from the terminal.
    Chat(ChatArgs),
    /// Fill a cluster with three rooms, some people and a history. Twice changes nothing.
    Demo(DemoArgs),
    /// Ask one process whether it is healthy: http(s)://… or grpc://host:port.
    Health(HealthArgs),
    /// The local authority: make it, issue certificates of the services.
    #[command(subcommand)]
    Ca(CaCommand),
    /// Delete the data of the local cluster, after asking.
    Purge(PurgeArgs),
    /// The supervisor of the local cluster; `up` starts it.
    #[command(hide = true)]
    Supervise(DataArgs),
}

#[derive(Debug, Clone, Args)]
pub(crate) struct DataArgs {
    /// Where the local cluster keeps its data.
    #[arg(
        long,
        default_value = "./data",
        env = "CHATTERBOX_DATA",
        value_name = "DIR"
    )]
    pub(crate) data: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct UpArgs {
    #[command(flatten)]
    pub(crate) data: DataArgs,
    /// How many replicas vote, 1 to 7 [default: 3, or what the data has].
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..=7))]
    pub(crate) replicas: Option<u16>,
    /// Port of the first gateway [default: 1050]; membership has the next one.
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..=65_000))]
    pub(crate) port: Option<u16>,
    /// Port of the first replica [default: the gateway's port + 11].
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..=65_000))]
    pub(crate) base_port: Option<u16>,
    /// How many gateways [default: 1].
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..=8))]
    pub(crate) gateways: Option<u16>,
    /// Let the services speak plain text with each other, without certificates: for tools that
    /// listen in.
    #[arg(long)]
    pub(crate) plain: bool,
    /// Stay in the foreground, until Ctrl+C.
    #[arg(long)]
    pub(crate) foreground: bool,
    /// Seconds to wait until the cluster is ready.
    #[arg(long, default_value_t = 60, value_name = "SECONDS")]
    pub(crate) timeout: u64,
}

#[derive(Debug, Subcommand)]
pub(crate) enum CaCommand {
    /// Make the authority, if there is none, in DIR/ca, and a certificate of each role in
    /// DIR/replica, DIR/gateway, DIR/membership, DIR/operator; renew those with less than a third
    /// of their time left.
    Ensure(CaEnsureArgs),
    /// Issue one certificate now.
    Issue(CaIssueArgs),
    /// Whom a certificate names and how long it is good. Exits with 1 when it is not.
    Show {
        /// The directory with ca.crt, tls.crt and tls.key.
        #[arg(value_name = "DIR")]
        directory: PathBuf,
    },
}

#[derive(Debug, Args)]
pub(crate) struct CaArgs {
    /// Where the authority is, in its directory ca, and the certificates are.
    #[arg(long, value_name = "DIR")]
    pub(crate) dir: PathBuf,
    /// The name of the cluster, as membership has it in CHATTERBOX_MEMBERSHIP_CLUSTER.
    #[arg(long, default_value = "chatterbox", value_name = "NAME")]
    pub(crate) cluster: String,
    /// How many days a certificate lives.
    #[arg(long, default_value_t = 90, value_parser = clap::value_parser!(u64).range(1..=3650))]
    pub(crate) days: u64,
}

#[derive(Debug, Args)]
pub(crate) struct CaEnsureArgs {
    #[command(flatten)]
    pub(crate) ca: CaArgs,
    /// Stay, and look every hour whether a certificate has to be renewed.
    #[arg(long)]
    pub(crate) follow: bool,
}

#[derive(Debug, Args)]
pub(crate) struct CaIssueArgs {
    #[command(flatten)]
    pub(crate) ca: CaArgs,
    /// replica, gateway, membership or operator.
    #[arg(long, value_name = "ROLE")]
    pub(crate) role: String,
    /// The directory for ca.crt, tls.crt and tls.key [default: that of the role].
    #[arg(long, value_name = "DIR")]
    pub(crate) into: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct StatusArgs {
    #[command(flatten)]
    pub(crate) place: WhereArgs,
    /// As one JSON object.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum NodeCommand {
    /// Show every node of the cluster, as the log names them, and what membership plans.
    List(NodeListArgs),
    /// Let nobody vote at the place of a node, though it lives: membership replaces it by a
    /// standby. For maintenance; a restart of membership does not forget it.
    Drain(DrainArgs),
    /// A node at that place may vote again, when a voter is needed.
    Undrain(DrainArgs),
    /// Let a standby vote in the place of a voter, which comes back as a new standby.
    Replace(ReplaceArgs),
    /// Hand the lead to another voter.
    TransferLeader(TransferArgs),
}

#[derive(Debug, Args)]
pub(crate) struct WhereArgs {
    #[command(flatten)]
    pub(crate) data: DataArgs,
    /// Ask this membership service, such as http://127.0.0.1:1051.
    #[arg(long, value_name = "URL")]
    pub(crate) membership: Option<String>,
    /// Ask this replica, such as http://127.0.0.1:1061; may be repeated.
    #[arg(long, value_name = "URL")]
    pub(crate) replica: Vec<String>,
}

#[derive(Debug, Args)]
pub(crate) struct NodeListArgs {
    #[command(flatten)]
    pub(crate) place: WhereArgs,
    /// As one JSON object.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct ReplaceArgs {
    /// The voter: r2 or 2.
    #[arg(value_name = "OLD")]
    pub(crate) old: String,
    /// The standby: r1030 or 1030.
    #[arg(value_name = "NEW")]
    pub(crate) new: String,
    /// Also when it has not caught up: the cluster decides little until it has.
    #[arg(long)]
    pub(crate) force: bool,
    #[command(flatten)]
    pub(crate) place: WhereArgs,
}

#[derive(Debug, Args)]
pub(crate) struct DrainArgs {
    /// The node: r2 or 2.
    #[arg(value_name = "NODE")]
    pub(crate) node: String,
    #[command(flatten)]
    pub(crate) place: WhereArgs,
}

#[derive(Debug, Args)]
pub(crate) struct TransferArgs {
    /// The voter that is to lead: r2 or 2.
    #[arg(value_name = "TO")]
    pub(crate) to: String,
    #[command(flatten)]
    pub(crate) place: WhereArgs,
}

#[derive(Debug, Args)]
pub(crate) struct BackupArgs {
    /// The new directory.
    #[arg(value_name = "BACKUP")]
    pub(crate) target: PathBuf,
    /// Which replica makes the copy: r2 or 2 [default: one that does not lead].
    #[arg(long, value_name = "NODE")]
    pub(crate) from: Option<String>,
    #[command(flatten)]
    pub(crate) place: WhereArgs,
}

/// Where a new cluster is made: a local one, or one directory per voter.
#[derive(Debug, Args)]
pub(crate) struct NewClusterArgs {
    /// A local cluster: its new data directory, for `chatterctl up`.
    #[arg(
        long,
        value_name = "DIR",
        required_unless_present = "voter",
        conflicts_with = "voter"
    )]
    pub(crate) data: Option<PathBuf>,
    /// Of a local cluster: how many replicas, 1 to 7.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..=7))]
    pub(crate) replicas: u16,
    /// Of a local cluster: port of the first gateway [default: 1050].
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..=65_000))]
    pub(crate) port: Option<u16>,
    /// Of a local cluster: port of the first replica [default: the gateway's port + 11].
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..=65_000))]
    pub(crate) base_port: Option<u16>,
    /// A voter: its new data directory, and where the others reach it; once for each.
    #[arg(long, value_name = "DIR=HOST:PORT")]
    pub(crate) voter: Vec<String>,
    /// With --voter: the name of the new cluster, as its membership has it in CLUSTER
    /// [default: the old one's].
    #[arg(long, value_name = "NAME", conflicts_with = "data")]
    pub(crate) cluster: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct RestoreArgs {
    /// The backup.
    #[arg(value_name = "BACKUP")]
    pub(crate) backup: PathBuf,
    #[command(flatten)]
    pub(crate) new: NewClusterArgs,
}

#[derive(Debug, Args)]
pub(crate) struct RescueArgs {
    /// The data directory of the stopped replica. It is only read, but for a note.
    #[arg(value_name = "DIRECTORY")]
    pub(crate) directory: PathBuf,
    #[command(flatten)]
    pub(crate) new: NewClusterArgs,
    /// The sentence that is asked for otherwise.
    #[arg(long, value_name = "SENTENCE")]
    pub(crate) i_accept: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct LogArgs {
    /// Which replica: r1, 1, or host:port.
    #[arg(value_name = "NODE")]
    pub(crate) node: String,
    #[command(flatten)]
    pub(crate) data: DataArgs,
    /// Ask this membership service where the replica is.
    #[arg(long, value_name = "URL")]
    pub(crate) membership: Option<String>,
    /// First slot.
    #[arg(long, default_value_t = 0, value_name = "SLOT")]
    pub(crate) from: u64,
    /// Last slot.
    #[arg(
        long,
        default_value_t = 0,
        value_name = "SLOT",
        hide_default_value = true
    )]
    pub(crate) upto: u64,
    /// One JSON object per line.
    #[arg(long)]
    pub(crate) json: bool,
    /// Show the commands in each entry, too.
    #[arg(long)]
    pub(crate) decode: bool,
}

#[derive(Debug, Args)]
pub(crate) struct LogsArgs {
    /// Which process [default: all].
    #[arg(value_name = "NAME")]
    pub(crate) name: Option<String>,
    #[command(flatten)]
    pub(crate) data: DataArgs,
    /// Go on showing what is written.
    #[arg(short, long)]
    pub(crate) follow: bool,
    /// How many lines of each to begin with.
    #[arg(short = 'n', long, default_value_t = 20)]
    pub(crate) lines: usize,
}

#[derive(Debug, Args)]
pub(crate) struct NameArgs {
    /// Which process: r1, gateway-1, membership.
    #[arg(value_name = "NAME")]
    pub(crate) name: String,
    #[command(flatten)]
    pub(crate) data: DataArgs,
}

#[derive(Debug, Args)]
pub(crate) struct ChatArgs {
    /// A gateway. Of https the authority must be one that this machine trusts, or in the file that SSL_CERT_FILE
    /// names.
    #[arg(long, default_value = "http://localhost:1050", env = "CHATTERBOX_URL")]
    pub(crate) url: String,
    /// Your name; a new one makes an account [default: the last one used here].
    #[arg(long)]
    pub(crate) name: Option<String>,
    /// The room to begin in.
    #[arg(long, default_value = "general")]
    pub(crate) room: String,
}

#[derive(Debug, Args)]
pub(crate) struct DemoArgs {
    /// A gateway. Of https the authority must be one that this machine trusts, or in the file that SSL_CERT_FILE
    /// names.
    #[arg(long, default_value = "http://localhost:1050", env = "CHATTERBOX_URL")]
    pub(crate) url: String,
    /// The secret of an invitation, where nobody can make an account without one.
    #[arg(long, value_name = "SECRET")]
    pub(crate) invitation: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct HealthArgs {
    /// http://… and https://… (any certificate) expect 2xx, grpc://host:port or grpc://host:port/SERVICE expects
    /// SERVING.
    pub(crate) url: String,
}

#[derive(Debug, Args)]
pub(crate) struct PurgeArgs {
    #[command(flatten)]
    pub(crate) data: DataArgs,
    /// Do not ask.
    #[arg(long)]
    pub(crate) yes: bool,
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory, Parser};

    use super::{Cli, Command};

    fn parse(line: &str) -> Result<Command, clap::Error> {
        Cli::try_parse_from(line.split_whitespace()).map(|cli| cli.command)
    }

    #[test]
    fn the_definition_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn reads_what_the_documents_write() {
        for line in [
            "chatterctl up",
            "chatterctl up --data d --replicas 5 --port 2050 --base-port 3000 --gateways 2",
            "chatterctl up --foreground",
            "chatterctl down --data d",
            "chatterctl status --json --membership http://m:1051 --replica http://r:1 --replica x:2",
            "chatterctl node list --json --membership http://m:1051",
            "chatterctl node replace r2 r1030 --force --replica http://r:1",
            "chatterctl node transfer-leader 3",
            "chatterctl node drain r2 --membership http://m:1051",
            "chatterctl node undrain 1040",
            "chatterctl log r1 --from 1024 --upto 1030 --json --decode",
            "chatterctl log 127.0.0.1:1061",
            "chatterctl backup b --from r2 --membership http://m:1051",
            "chatterctl restore b --data new --replicas 5 --port 2050",
            "chatterctl restore b --voter d1=h:1 --voter d2=h:2 --cluster name",
            "chatterctl rescue data/r1 --data new --replicas 1",
            "chatterctl rescue r1 --voter d1=h:1 --i-accept sentence",
            "chatterctl verify --replica http://r:1 --replica r:2",
            "chatterctl logs r1 -f",
            "chatterctl kill r1",
            "chatterctl pause r1",
            "chatterctl resume r1",
            "chatterctl purge --yes",
            "chatterctl ca ensure --dir d --cluster c --follow",
            "chatterctl ca issue --dir d --role operator --into o --days 7",
            "chatterctl ca show d",
            "chatterctl status --tls d --membership h:1",
            "chatterctl chat --url http://localhost:1050 --name alice --room general",
            "chatterctl demo --url http://localhost:1050 --invitation secret",
            "chatterctl health grpc://127.0.0.1:1061",
            "chatterctl supervise --data d",
        ] {
            assert!(parse(line).is_ok(), "{line}: {:?}", parse(line).err());
        }
    }

    #[test]
    fn refuses_what_cannot_be() {
        for line in [
            "chatterctl",
            "chatterctl up --replicas 0",
            "chatterctl up --replicas 8",
            "chatterctl up --port 70000",
            "chatterctl log",
            "chatterctl node",
            "chatterctl node replace r2",
            "chatterctl kill",
            "chatterctl backup",
            "chatterctl restore b",
            "chatterctl restore b --data d --voter d=h:1",
            "chatterctl rescue --data d",
            "chatterctl nonsense",
        ] {
            assert!(parse(line).is_err(), "{line}");
        }
    }
}
