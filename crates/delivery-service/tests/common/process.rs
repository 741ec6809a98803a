//! The server as a process of its own, so that what it takes of memory is its own: the test program
//! itself, started again for one ignored test that serves.

use std::{
    net::SocketAddr,
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use conclave_delivery_service::{Config, RateLimits, Server, Tls};

/// Where the process finds its data; set for nobody else.
const FOLDER: &str = "CONCLAVE_TEST_SERVER";

pub struct ServerProcess {
    child: Child,
    pub address: SocketAddr,
}

impl ServerProcess {
    /// Starts a server on the data in `folder`, with TLS where a certificate is in it. The program
    /// needs a test with this name that calls [`serve`].
    pub fn start(folder: &Path, test: &str) -> Self {
        let child = Command::new(std::env::current_exe().unwrap())
            .args(["--ignored", "--exact", test])
            .env(FOLDER, folder)
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let file = folder.join("address");
        let started = Instant::now();
        let address = loop {
            match std::fs::read_to_string(&file).map(|text| text.parse()) {
                Ok(Ok(address)) => break address,
                _ => std::thread::sleep(Duration::from_millis(20)),
            }
            assert!(
                started.elapsed() < Duration::from_secs(30),
                "it did not start"
            );
        };
        Self { child, address }
    }

    /// Bytes of memory that the server has resident.
    pub fn resident_bytes(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
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
pub fn serve() {
    let Some(folder) = std::env::var_os(FOLDER) else {
        return;
    };
    let folder = Path::new(&folder);
    let tls = Tls {
        certificate: folder.join("certificate.pem"),
        key: folder.join("key.pem"),
    };
    let config = Config {
        tls: tls.key.exists().then_some(tls),
        rates: RateLimits::unlimited(),
        ..Config::new(folder.to_owned())
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .thread_stack_size(4 * 1024 * 1024)
        .build()
        .unwrap();
    runtime.block_on(async {
        let server = Server::bind(config).await.unwrap();
        let address = server.local_addr().to_string();
        // Renamed, so that nobody reads half of it.
        std::fs::write(folder.join("address.new"), address).unwrap();
        std::fs::rename(folder.join("address.new"), folder.join("address")).unwrap();
        server.run(std::future::pending()).await.unwrap();
    });
}
