//! The server as a process of its own, whose memory can be measured and looked at: the test program itself, started
//! again for one ignored test that serves. Tests of other crates use this file too.

#![allow(clippy::unwrap_used, unreachable_pub, missing_docs)]

use std::{
    fs::{self, File},
    io,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use conclave_delivery_service::{Config, Server, Tls};

/// Where the process finds its folder; set for nobody else.
const FOLDER: &str = "CONCLAVE_TEST_SERVER";

pub struct ServerProcess {
    child: Child,
    folder: PathBuf,
    pub address: SocketAddr,
}

impl ServerProcess {
    /// Starts a server with its data in `folder`, and with TLS where a certificate is in it. The program needs a test with
    /// this name that calls [`serve`].
    pub fn start(folder: &Path, test: &str) -> Self {
        let log = File::create(folder.join("log.txt")).unwrap();
        let child = Command::new(std::env::current_exe().unwrap())
            .args(["--ignored", "--exact", "--nocapture", test])
            .env(FOLDER, folder)
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        let started = Instant::now();
        let address = loop {
            match fs::read_to_string(folder.join("address")).map(|text| text.parse()) {
                Ok(Ok(address)) => break address,
                _ => std::thread::sleep(Duration::from_millis(20)),
            }
            assert!(
                started.elapsed() < Duration::from_secs(60),
                "it did not start: {}",
                fs::read_to_string(folder.join("log.txt")).unwrap_or_default()
            );
        };
        Self {
            child,
            folder: folder.to_owned(),
            address,
        }
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    pub fn data(&self) -> PathBuf {
        self.folder.join("data")
    }

    /// What it wrote to the error stream.
    pub fn log(&self) -> Vec<u8> {
        fs::read(self.folder.join("log.txt")).unwrap()
    }

    /// Where it shows what it counts, where it does.
    pub fn metrics(&self) -> SocketAddr {
        let address = fs::read_to_string(self.folder.join("metrics"));
        address.unwrap().parse().unwrap()
    }

    /// Bytes of memory that the server has resident.
    pub fn resident_bytes(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmRSS:"));
        let kib = line
            .and_then(|line| line.split_whitespace().nth(1))
            .unwrap();
        kib.parse::<u64>().unwrap() * 1024
    }

    /// Whether it still runs.
    pub fn is_alive(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }
}

impl Drop for ServerProcess {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Serves until the process is killed, if it was started by [`ServerProcess`].
pub fn serve(change: impl FnOnce(Config) -> Config) {
    let Some(folder) = std::env::var_os(FOLDER) else {
        return;
    };
    let folder = Path::new(&folder);
    let tls = Tls {
        certificate: folder.join("certificate.pem"),
        key: folder.join("key.pem"),
    };
    let config = change(Config {
        tls: tls.key.exists().then_some(tls),
        ..Config::new(folder.join("data"))
    });
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .thread_stack_size(4 * 1024 * 1024)
        .build()
        .unwrap();
    runtime.block_on(async {
        let server = Server::bind(config).await.unwrap();
        if let Some(metrics) = server.metrics_addr() {
            fs::write(folder.join("metrics"), metrics.to_string()).unwrap();
        }
        tell(folder, server.local_addr()).unwrap();
        server.run(std::future::pending()).await.unwrap();
    });
}

/// Writes down where the server listens; renamed, so that nobody reads half of it.
fn tell(folder: &Path, address: SocketAddr) -> io::Result<()> {
    fs::write(folder.join("address.new"), address.to_string())?;
    fs::rename(folder.join("address.new"), folder.join("address"))
}
