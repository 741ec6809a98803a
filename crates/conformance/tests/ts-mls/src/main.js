// ts-mls as an MLSClient server: node src/main.js [--listen HOST:PORT]

import { fileURLToPath } from "node:url"
import { parseArgs } from "node:util"
import { Server, ServerCredentials, loadPackageDefinition } from "@grpc/grpc-js"
import { loadSync } from "@grpc/proto-loader"
import { service } from "./service.js"
import { toStatus } from "./status.js"

/** Bytes of one request or answer, as the other servers of this crate have it. */
const MESSAGE_BYTES_MAX = 16 * 1024 * 1024

const PROTO = fileURLToPath(new URL("../../../../../proto/mls_client.proto", import.meta.url))

/** Nobody but us waits for an answer: whatever is thrown becomes one. */
function answered(method) {
  return (call, done) => {
    method(call.request).then(
      (answer) => done(null, answer),
      (error) => done(toStatus(error)),
    )
  }
}

// Where the library walks through a list of promises it leaves those behind the first failure alone. The
// request has its answer by then, and no state was changed.
process.on("unhandledRejection", () => {})

const { listen } = parseArgs({ options: { listen: { type: "string", default: "127.0.0.1:0" } } }).values
const definition = loadSync(PROTO, { keepCase: true, longs: String, defaults: true })
const { MLSClient } = loadPackageDefinition(definition).mls_client
const server = new Server({
  "grpc.max_receive_message_length": MESSAGE_BYTES_MAX,
  "grpc.max_send_message_length": MESSAGE_BYTES_MAX,
})
const methods = Object.entries(service).map(([name, method]) => [name, answered(method)])
server.addService(MLSClient.service, Object.fromEntries(methods))
server.bindAsync(listen, ServerCredentials.createInsecure(), (error, port) => {
  if (error) throw error
  console.log(`listening on ${listen.replace(/:\d+$/, "")}:${port}`)
})
