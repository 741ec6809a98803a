// Who is who: a name has one signature key for each suite, so that somebody who joins again or joins a
// subgroup is known by it.

import { generateKeyPackageWithKey, getCiphersuiteFromName, getCiphersuiteImpl } from "ts-mls"
import { suiteName, text } from "./wire.js"

/** The suites of RFC 9420 for which the libraries that ts-mls asks for are installed. */
export const SUITES = [1, 2, 3, 5, 7]

/** Names that are remembered: whoever makes up more gets a fresh key each time. */
const NAMES_MAX = 10_000

/** For ever, which all libraries take: some refuse a KeyPackage that is valid for many months. */
const LIFETIME = { notBefore: 0n, notAfter: 2n ** 64n - 1n }

/** No GREASE, which OpenMLS refuses. */
const CAPABILITIES = {
  versions: ["mls10"],
  ciphersuites: SUITES.map(suiteName),
  extensions: [],
  proposals: [],
  credentials: ["basic"],
}

const known = new Map()

/** The name with its signature key in this suite, and the suite's functions. */
export async function identity(suite, name) {
  if (!SUITES.includes(suite)) throw new Error(`suite ${suite} is not served`)
  const place = `${suite} ${text(name)}`
  const found = known.get(place) ?? make(suite, name)
  if (known.size < NAMES_MAX) known.set(place, found)
  return found
}

async function make(suite, name) {
  const cs = await getCiphersuiteImpl(getCiphersuiteFromName(suiteName(suite)))
  return { suite, name, cs, pair: await cs.signature.keygen() }
}

/** A basic credential (RFC 9420, section 5.3). */
export const credential = ({ name }) => ({ credentialType: "basic", identity: name })

/** A KeyPackage and its private keys. */
export function keyPackage(who) {
  return generateKeyPackageWithKey(credential(who), CAPABILITIES, LIFETIME, [], who.pair, who.cs)
}

/** Private keys as the official vectors write them: for Ed25519 without the PKCS #8 around it. */
export function privateKeys({ privatePackage }) {
  const { initPrivateKey, hpkePrivateKey, signaturePrivateKey } = privatePackage
  const isWrapped = signaturePrivateKey.length === 48
  return {
    init_priv: initPrivateKey,
    encryption_priv: hpkePrivateKey,
    signature_priv: isWrapped ? signaturePrivateKey.slice(-32) : signaturePrivateKey,
  }
}
