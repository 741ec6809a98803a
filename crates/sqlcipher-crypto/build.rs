//! Gives SQLCipher's build AWS-LC's headers, and `EVP_MAC` beside them.

use std::{
    env,
    error::Error,
    fs,
    path::{Path, PathBuf},
};

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=src/evp_mac.h");
    let theirs = Path::new(&aws_lc_include()?).join("openssl");
    let include = PathBuf::from(env::var("OUT_DIR")?).join("include");
    let ours = include.join("openssl");
    fs::create_dir_all(&ours)?;
    for header in fs::read_dir(theirs)? {
        let header = header?;
        if header.file_type()?.is_file() {
            fs::copy(header.path(), ours.join(header.file_name()))?;
        }
    }
    // Whoever asks for HMAC in OpenSSL 3 includes <openssl/hmac.h> or <openssl/evp.h>; SQLCipher both.
    let hmac = fs::read_to_string(ours.join("hmac.h"))?;
    let evp_mac = fs::read_to_string("src/evp_mac.h")?;
    fs::write(ours.join("hmac.h"), hmac + "\n" + &evp_mac)?;
    println!("cargo::metadata=include={}", include.display());
    Ok(())
}

/// Where AWS-LC's headers are. The variable's name has its version.
fn aws_lc_include() -> Result<String, Box<dyn Error>> {
    let mut variables = env::vars();
    let include =
        variables.find(|(name, _)| name.starts_with("DEP_AWS_LC_") && name.ends_with("_INCLUDE"));
    Ok(include
        .ok_or("aws-lc-rs does not say where its headers are")?
        .1)
}
