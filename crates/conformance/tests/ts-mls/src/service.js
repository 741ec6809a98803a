// The requests, each by its name.

import { ciphersuites, encodeMlsMessage, proposeAddExternal, proposeExternal } from "ts-mls"
import { Client } from "./client.js"
import { SUITES, identity, keyPackage, privateKeys } from "./identity.js"
import * as proposal from "./proposal.js"
import { ENDED, INVITED, MEMBER, SIGNER, States } from "./states.js"
import { invalid, unsupported } from "./status.js"
import * as successor from "./successor.js"
import * as wire from "./wire.js"

/** Bytes of an exported secret: what 255 hashes of the largest kind give, where the derivation ends. */
const EXPORT_BYTES_MAX = 255 * 64

const states = new States()

const member = (id, act) => states.with(id, [MEMBER], act)

const ended = (id, act) => states.with(id, [ENDED], act)

/** Has a member propose what `make` gives, which is found out where the client is. */
async function propose({ state_id }, make) {
  return member(state_id, async (client) => ({ proposal: await client.propose(make(client)) }))
}

/** The suite and who this name is in it, as a GroupInfo demands. */
async function joinerOf(info, name) {
  const suite = ciphersuites[info.groupContext.cipherSuite]
  return identity(suite, wire.bytes(name))
}

const entry = {
  async Name() {
    return { name: "ts-mls" }
  },

  async SupportedCiphersuites() {
    return { ciphersuites: SUITES }
  },

  async CreateGroup({ group_id, cipher_suite, encrypt_handshake, identity: name }) {
    const client = new Client(await identity(cipher_suite, wire.bytes(name)), encrypt_handshake)
    await client.create(wire.bytes(group_id))
    return { state_id: states.keep(MEMBER, client) }
  },

  async CreateKeyPackage({ cipher_suite, identity: name }) {
    const client = new Client(await identity(cipher_suite, wire.bytes(name)))
    const key_package = await client.makeKeyPackage()
    return {
      transaction_id: states.keep(INVITED, client),
      key_package,
      ...privateKeys(client.keys),
    }
  },

  async JoinGroup({ transaction_id: id, welcome, encrypt_handshake, ratchet_tree }) {
    return states.with(id, [INVITED], async (client, place) => {
      const tree = wire.optionalTree(ratchet_tree)
      const epoch_authenticator = await client.join(wire.carried("welcome", welcome), tree)
      client.encrypt = encrypt_handshake
      place.standing = MEMBER
      return { state_id: id, epoch_authenticator }
    })
  },

  async ExternalJoin(request) {
    if (request.psks.length > 0) throw unsupported("joinGroupExternal takes no pre-shared keys")
    const info = wire.carried("groupInfo", request.group_info)
    const client = new Client(await joinerOf(info, request.identity), request.encrypt_handshake)
    const tree = wire.optionalTree(request.ratchet_tree)
    const commit = await client.joinExternally(info, tree, request.remove_prior)
    const epoch_authenticator = client.authenticator
    return { state_id: states.keep(MEMBER, client), commit, epoch_authenticator }
  },

  async Free({ state_id }) {
    states.free(state_id)
    return {}
  },
}

const epoch = {
  async GroupInfo({ state_id, external_tree }) {
    return member(state_id, async (client) => ({
      group_info: await client.groupInfo(!external_tree),
      ratchet_tree: external_tree ? client.tree : undefined,
    }))
  },

  async StateAuth({ state_id }) {
    return member(state_id, (client) => ({ state_auth_secret: client.authenticator }))
  },

  async Export({ state_id, label, context, key_length }) {
    if (key_length > EXPORT_BYTES_MAX) throw invalid("the secret is too long")
    return member(state_id, async (client) => ({
      exported_secret: await client.export(label, wire.bytes(context), key_length),
    }))
  },

  async Protect({ state_id, authenticated_data, plaintext }) {
    return member(state_id, async (client) => ({
      ciphertext: await client.protect(wire.bytes(plaintext), wire.bytes(authenticated_data)),
    }))
  },

  async Unprotect({ state_id, ciphertext }) {
    return member(state_id, (client) => client.unprotect(ciphertext))
  },

  async StorePSK({ state_or_transaction_id: id, psk_id, psk_secret }) {
    return states.with(id, [INVITED, MEMBER, ENDED], (client) => {
      client.storePsk(wire.bytes(psk_id), wire.bytes(psk_secret))
      return {}
    })
  },

  async Commit({ state_id, by_reference, by_value, force_path, external_tree }) {
    return member(state_id, async (client) => {
      await client.hear(by_reference)
      const described = by_value.map((one) => proposal.described(one, client.cs, client.state))
      return client.commit(described, { forcePath: force_path, withTree: !external_tree })
    })
  },

  async HandleCommit({ state_id, proposal: proposals, commit }) {
    return member(state_id, async (client) => {
      await client.hear(proposals)
      return { state_id, epoch_authenticator: await client.follow(commit) }
    })
  },

  async HandlePendingCommit({ state_id }) {
    return member(state_id, (client) => ({ state_id, epoch_authenticator: client.merge() }))
  },
}

const proposals = {
  AddProposal: (request) => propose(request, () => proposal.add(request.key_package)),

  async UpdateProposal({ state_id }) {
    return member(state_id, () => {
      throw unsupported("nothing signs an Update's leaf, nor keeps its private key until the Commit")
    })
  },

  RemoveProposal: (request) =>
    propose(request, ({ state }) => {
      return proposal.remove(wire.leafNamed(state.ratchetTree, request.removed_id))
    }),

  ExternalPSKProposal: (request) =>
    propose(request, ({ cs }) => proposal.externalPsk(cs, wire.bytes(request.psk_id))),

  ResumptionPSKProposal: (request) =>
    propose(request, ({ cs, state }) => {
      return proposal.resumptionPsk(cs, state.groupContext.groupId, request.epoch_id)
    }),

  GroupContextExtensionsProposal: (request) =>
    propose(request, () => proposal.groupContextExtensions(wire.extensions(request.extensions))),

  ReInitProposal: (request) => propose(request, () => proposal.reInit(request)),

  AddExternalSigner: (request) =>
    propose(request, ({ state }) => {
      return proposal.withSender(state.groupContext.extensions, request.external_sender)
    }),
}

/** Has a client end its group by `act`, and wait for the next one. */
async function end(id, act) {
  return member(id, async (client, place) => {
    const epoch_authenticator = await act(client)
    const key_package = await successor.prepare(client)
    place.standing = ENDED
    return { reinit_id: id, key_package, epoch_authenticator }
  })
}

const successors = {
  ReInitCommit: (request) => epoch.Commit(request),

  HandlePendingReInitCommit: ({ state_id }) => end(state_id, (client) => client.merge()),

  HandleReInitCommit: ({ state_id, proposal: proposals, commit }) =>
    end(state_id, async (client) => {
      await client.hear(proposals)
      return client.follow(commit)
    }),

  async ReInitWelcome(request) {
    const id = request.reinit_id
    return ended(id, async (client, place) => {
      const made = await successor.begin(client, request)
      place.standing = MEMBER
      return { state_id: id, ...made }
    })
  },

  async HandleReInitWelcome({ reinit_id: id, welcome, ratchet_tree }) {
    return ended(id, async (client, place) => {
      const tree = wire.optionalTree(ratchet_tree)
      const epoch_authenticator = await successor.join(client, wire.carried("welcome", welcome), tree)
      place.standing = MEMBER
      return { state_id: id, epoch_authenticator }
    })
  },

  async CreateBranch(request) {
    return member(request.state_id, async (client) => {
      const { there, made } = await successor.branch(client, request)
      return { state_id: states.keep(MEMBER, there), ...made }
    })
  },

  async HandleBranch({ state_id, transaction_id, welcome, ratchet_tree }) {
    const invitee = states.takeInvited(transaction_id)
    return member(state_id, async (client) => {
      const tree = wire.optionalTree(ratchet_tree)
      const there = await successor.joinBranch(client, invitee, wire.carried("welcome", welcome), tree)
      const epoch_authenticator = there.authenticator
      return { state_id: states.keep(MEMBER, there), epoch_authenticator }
    })
  },
}

const outside = {
  async NewMemberAddProposal({ group_info, identity: name }) {
    const info = wire.carried("groupInfo", group_info)
    const client = new Client(await joinerOf(info, name))
    client.keys = await keyPackage(client.who)
    const { publicPackage, privatePackage } = client.keys
    const proposed = await proposeAddExternal(info, publicPackage, privatePackage, client.cs)
    return {
      transaction_id: states.keep(INVITED, client),
      proposal: encodeMlsMessage(proposed),
      ...privateKeys(client.keys),
    }
  },

  async CreateExternalSigner({ cipher_suite, identity: name }) {
    const who = await identity(cipher_suite, wire.bytes(name))
    return { signer_id: states.keep(SIGNER, who), external_sender: proposal.externalSender(who) }
  },

  /** The library finds the signer's place in the group's list by itself. */
  async ExternalSignerProposal({ signer_id, group_info, ratchet_tree, description }) {
    return states.with(signer_id, [SIGNER], async ({ cs, pair }) => {
      const info = wire.carried("groupInfo", group_info)
      if (description === null) throw invalid("the proposal is missing")
      const ratchetTree = wire.optionalTree(ratchet_tree) ?? []
      const place = { ratchetTree, groupContext: info.groupContext }
      const said = proposal.described(description, cs, place)
      const proposed = await proposeExternal(info, said, pair.publicKey, pair.signKey, cs)
      return { proposal: encodeMlsMessage(proposed) }
    })
  },
}

export const service = { ...entry, ...epoch, ...proposals, ...successors, ...outside }
