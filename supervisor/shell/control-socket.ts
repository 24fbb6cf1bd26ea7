/**
 * The control socket as a file that others may take away. It is bound under a name of its own and then renamed, so
 * that it appears complete and 0600 in one step, takes the place of whatever stale thing lies there, and so that the
 * end of a listener, which removes the name that it was bound to, never removes somebody else's socket.
 */
import { chmodSync, renameSync, rmSync } from 'node:fs'
import { connect, createServer, type Server, type Socket } from 'node:net'
import { dirname, join } from 'node:path'
import { fileIdentity } from './file-identity.ts'

/** Whoever listens answers a connection at once, even one that hangs: the kernel does it. */
const ANSWER_MS = 1_000

export type ControlSocket = {
  /**
   * Looks whether the path still leads here and makes the socket anew if not; connections that are open go on.
   * Rejects with what the file system says, or if somebody else serves the path: that is left alone.
   */
  look(): Promise<'there' | 'remade'>
  /** Takes the path away, if it is ours. */
  remove(): void
  /** Ends the listener and every connection. */
  close(): void
}

/** Listens on a path, whose folder must be there, and hands over each connection. */
export async function openControlSocket(
  path: string,
  connected: (socket: Socket) => void,
): Promise<ControlSocket> {
  const open = new Set<Socket>()
  const take = (socket: Socket) => {
    open.add(socket)
    socket.once('close', () => open.delete(socket))
    connected(socket)
  }
  let listener = await listenAs(path, take)
  const isOurs = () => fileIdentity(path) === listener.identity
  const remove = () => {
    if (isOurs()) rmSync(path, { force: true })
  }
  return {
    remove,
    async look() {
      if (isOurs()) return 'there'
      if (await isServed(path)) throw new Error('another program serves it')
      const old = listener.server
      listener = await listenAs(path, take)
      old.close()
      return 'remade'
    },
    close() {
      remove()
      listener.server.close()
      for (const socket of open) socket.destroy()
    },
  }
}

/** True if something accepts connections there. */
export function isServed(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path)
    const answer = (is: boolean) => {
      socket.destroy()
      resolve(is)
    }
    socket.setTimeout(ANSWER_MS, () => answer(false))
    socket.once('connect', () => answer(true))
    socket.once('error', () => answer(false))
  })
}

async function listenAs(path: string, connected: (socket: Socket) => void) {
  // No longer than the real name: its length was checked.
  const bound = join(dirname(path), `s.${process.pid}`)
  rmSync(bound, { force: true })
  const server = createServer(connected)
  await listen(server, bound)
  chmodSync(bound, 0o600)
  const identity = fileIdentity(bound)
  try {
    renameSync(bound, path)
  } catch (error) {
    server.close()
    throw error
  }
  return { server, identity }
}

function listen(server: Server, path: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    // The file is made within the call.
    const mask = process.umask(0o177)
    try {
      server.listen(path, () => resolve())
    } finally {
      process.umask(mask)
    }
  })
}
