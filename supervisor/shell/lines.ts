/** Lines of a stream of text. */
import type { Readable } from 'node:stream'

/**
 * A longer line is no message: what comes until the next newline is dropped. Hosts that cut at 10 MiB lose real
 * results of MCP servers.
 */
export const LINE_MAX = 64 * 1024 * 1024

/** Calls `take` with every line that is not blank, without its end. */
export function splitLines(stream: Readable, take: (line: string) => void): void {
  let parts: string[] = []
  let length = 0
  const end = () => {
    const line = parts.join('')
    if (line.trim() !== '') take(line)
    parts = []
    length = 0
  }
  const add = (part: string) => {
    length += part.length
    if (length > LINE_MAX) parts = []
    else parts.push(part)
  }
  stream.setEncoding('utf8')
  stream.on('data', (chunk: string) => {
    let from = 0
    for (let to = chunk.indexOf('\n'); to >= 0; to = chunk.indexOf('\n', from)) {
      add(chunk.slice(from, to))
      end()
      from = to + 1
    }
    if (from < chunk.length) add(chunk.slice(from))
  })
}
