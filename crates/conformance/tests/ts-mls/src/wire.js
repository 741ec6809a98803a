// Between the bytes of requests and what ts-mls works on.

import { ciphersuites, decodeMlsMessage, defaultExtensionTypes, encodeMlsMessage } from "ts-mls"
import { decodeRatchetTree } from "ts-mls/ratchetTree.js"
import { invalid } from "./status.js"

const WIRE_FORMATS = {
  keyPackage: "mls_key_package",
  welcome: "mls_welcome",
  groupInfo: "mls_group_info",
}

/** A copy that shares no memory with the request: the library erases some of what it was given. */
export const bytes = (field) => Uint8Array.from(field ?? [])

export const text = (data) => Buffer.from(data).toString("hex")

/** A structure that fills its bytes (RFC 9420, section 2.1): the library's decoders leave that to us. */
function whole(decoder, field, what) {
  const data = bytes(field)
  const [value, length] = decoder(data, 0) ?? []
  if (value === undefined || length !== data.length) throw new Error(`this is no ${what}`)
  return value
}

/** An MLSMessage. */
export const message = (field) => whole(decodeMlsMessage, field, "MLSMessage")

/** What an MLSMessage of this kind carries: `keyPackage`, `welcome` or `groupInfo`. */
export function carried(kind, field) {
  const decoded = message(field)
  if (decoded.wireformat !== WIRE_FORMATS[kind]) throw new Error(`this is no ${kind}`)
  return decoded[kind]
}

/** The MLSMessage that carries this: the reverse of `carried`. */
export function carrying(kind, value) {
  return encodeMlsMessage({ version: "mls10", wireformat: WIRE_FORMATS[kind], [kind]: value })
}

/** The tree, if the request has one. */
export function optionalTree(field) {
  return field?.length > 0 ? whole(decodeRatchetTree, field, "tree") : undefined
}

/** Extensions, of which the library calls by name those that RFC 9420 defines. */
export function extensions(list) {
  const names = Object.entries(defaultExtensionTypes)
  return (list ?? []).map(({ extension_type: type, extension_data: data }) => {
    if (type > 0xffff) throw invalid("an extension's type has 16 bits")
    const name = names.find(([, number]) => number === type)?.[0]
    return { extensionType: name ?? type, extensionData: bytes(data) }
  })
}

/** What the library calls a suite. */
export function suiteName(number) {
  const name = Object.entries(ciphersuites).find(([, known]) => known === number)?.[0]
  if (name === undefined) throw new Error(`the library has no suite ${number}`)
  return name
}

/** The first leaf with this name in its basic credential. */
export function leafNamed(tree, name) {
  const wanted = text(name ?? [])
  const node = tree.findIndex(
    (node) =>
      node?.nodeType === "leaf" &&
      node.leaf.credential.credentialType === "basic" &&
      text(node.leaf.credential.identity) === wanted,
  )
  if (node < 0) throw new Error("nobody has this name")
  return node / 2
}
