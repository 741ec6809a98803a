// What proposals say, as requests describe them.

import { encodeExternalSender } from "ts-mls"
import { credential } from "./identity.js"
import { invalid } from "./status.js"
import * as wire from "./wire.js"

export const add = (message) => ({
  proposalType: "add",
  add: { keyPackage: wire.carried("keyPackage", message) },
})

export const remove = (leaf) => ({ proposalType: "remove", remove: { removed: leaf } })

export const groupContextExtensions = (extensions) => ({
  proposalType: "group_context_extensions",
  groupContextExtensions: { extensions },
})

/** RFC 9420, section 8.4: each PreSharedKeyID has a fresh nonce as long as a hash. */
const psk = (cs, info) => ({
  proposalType: "psk",
  psk: { preSharedKeyId: { ...info, pskNonce: cs.rng.randomBytes(cs.kdf.size) } },
})

export const externalPsk = (cs, pskId) => psk(cs, { psktype: "external", pskId })

export const resumptionPsk = (cs, pskGroupId, epoch) =>
  psk(cs, { psktype: "resumption", usage: "application", pskGroupId, pskEpoch: BigInt(epoch) })

export const reInit = ({ group_id: groupId, cipher_suite: suite, extensions }) => ({
  proposalType: "reinit",
  reinit: {
    groupId: wire.bytes(groupId),
    version: "mls10",
    cipherSuite: wire.suiteName(suite),
    extensions: wire.extensions(extensions),
  },
})

/** What a ProposalDescription means in the group of this tree and context. */
export function described(description, cs, { ratchetTree, groupContext }) {
  switch (Buffer.from(description.proposal_type).toString()) {
    case "add":
      return add(description.key_package)
    case "remove":
      return remove(wire.leafNamed(ratchetTree, description.removed_id))
    case "externalPSK":
      return externalPsk(cs, wire.bytes(description.psk_id))
    case "resumptionPSK":
      return resumptionPsk(cs, groupContext.groupId, description.epoch_id)
    case "groupContextExtensions":
      return groupContextExtensions(wire.extensions(description.extensions))
    case "reinit":
      return reInit(description)
    default:
      throw invalid("a proposal of unknown type")
  }
}

/** What a group lists an external signer as. */
export const externalSender = (who) =>
  encodeExternalSender({ signaturePublicKey: who.pair.publicKey, credential: credential(who) })

/**
 * The GroupContext's extensions with one more external signer, as the library wants them: one extension
 * for each. RFC 9420 (section 12.1.8.1) has one extension with all of them.
 */
export function withSender(extensions, sender) {
  const extension = { extensionType: "external_senders", extensionData: wire.bytes(sender) }
  return groupContextExtensions([...extensions, extension])
}
