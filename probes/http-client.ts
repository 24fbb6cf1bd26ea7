/**
 * Node's HTTP client. An `import` of node:http reads all that it exports, and with that loads Node's WebSocket and
 * fetch: 6.7 MiB that no probe needs.
 */
import type { ClientRequest, IncomingMessage, RequestOptions } from 'node:http'

/** `http.request`. */
export function httpRequest(
  options: RequestOptions,
  onResponse?: (response: IncomingMessage) => void,
): ClientRequest {
  return process.getBuiltinModule('node:http').request(options, onResponse)
}
