use thiserror::Error;

/// Why a cryptographic operation did not happen. No variant holds a key or a payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum CryptoError {
    /// The number names no suite of RFC 9420 §17.1.
    #[error("the cipher suite is unknown")]
    UnknownSuite,
    /// Suites 4 and 6 of RFC 9420 §17.1 use X448 and Ed448, for which there is no implementation.
    #[error("cipher suites with X448 and Ed448 are not supported")]
    UnsupportedSuite,
    /// A private key is not one of its algorithm: a wrong length, or a number out of range.
    #[error("the private key is malformed")]
    PrivateKey,
    /// A public key is not one of its algorithm: a wrong length, or no point of the curve.
    #[error("the public key is malformed")]
    PublicKey,
    /// A key or nonce has not the length that its algorithm demands.
    #[error("a key or nonce has the wrong length")]
    Length,
    /// More output was asked of a key derivation than it can give (255 hashes, RFC 5869 §2.3).
    #[error("a derived secret would be too long")]
    DerivedLength,
    /// A ciphertext does not open under this key, nonce and associated data.
    #[error("the ciphertext does not open")]
    Open,
    /// A signature was not made over this content by this key.
    #[error("the signature is not valid")]
    Signature,
    /// A MAC was not made over this content with this key.
    #[error("the authentication tag is not valid")]
    Mac,
    /// The operating system gave no randomness.
    #[error("no randomness is available")]
    Random,
    /// The library refused to work; not caused by anybody's input.
    #[error("the cryptographic library failed")]
    Library,
}
