import assert from 'node:assert/strict'
import { once } from 'node:events'
import { existsSync, mkdirSync, mkdtempSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { connect, createServer } from 'node:net'
import { join } from 'node:path'
import { describe, it, type TestContext } from 'node:test'
import { isServed, openControlSocket } from '../../supervisor/shell/control-socket.ts'

/** A socket that answers each line with itself. */
async function stage(t: TestContext) {
  const folder = mkdtempSync('/tmp/cs-')
  const path = join(folder, 'paios.sock')
  const socket = await openControlSocket(path, (open) => void open.pipe(open))
  t.after(() => {
    socket.close()
    rmSync(folder, { recursive: true })
  })
  return { folder, path, socket }
}

async function talk(path: string) {
  const client = connect(path)
  await once(client, 'connect')
  return {
    client,
    async echo(text: string): Promise<string> {
      client.write(text)
      return String((await once(client, 'data'))[0])
    },
  }
}

describe('the file of the control socket', () => {
  it('that was deleted is made anew, for its owner alone, and who is connected stays connected', async (t) => {
    const { path, socket } = await stage(t)
    const before = await talk(path)
    assert.equal(await socket.look(), 'there')
    rmSync(path)
    assert.equal(await socket.look(), 'remade')
    assert.equal(await socket.look(), 'there')
    assert.equal(statSync(path).mode & 0o777, 0o600)
    assert.equal(await before.echo('old'), 'old')
    const after = await talk(path)
    assert.equal(await after.echo('new'), 'new')
  })

  it('takes the place of a file, and of a socket on which nobody listens', async (t) => {
    const { folder, path, socket } = await stage(t)
    rmSync(path)
    writeFileSync(path, 'no socket')
    assert.equal(await socket.look(), 'remade')
    const dead = createServer().listen(join(folder, 'dead'))
    await once(dead, 'listening')
    rmSync(path)
    renameSync(join(folder, 'dead'), path)
    dead.close()
    await once(dead, 'close')
    assert.equal(await isServed(path), false)
    assert.equal(await socket.look(), 'remade')
    assert.equal(await isServed(path), true)
  })

  it('that another program serves is neither replaced nor removed', async (t) => {
    const { path, socket } = await stage(t)
    rmSync(path)
    const other = createServer().listen(path)
    t.after(() => other.close())
    await once(other, 'listening')
    await assert.rejects(socket.look(), /^Error: another program serves it$/)
    socket.remove()
    socket.close()
    assert.equal(await isServed(path), true)
  })

  it('cannot be made where its folder is gone or a folder has its name, and is once that is over', async (t) => {
    const { folder, path, socket } = await stage(t)
    rmSync(folder, { recursive: true })
    await assert.rejects(socket.look())
    mkdirSync(folder)
    assert.equal(await socket.look(), 'remade')
    rmSync(path)
    mkdirSync(join(path, 'x'), { recursive: true })
    await assert.rejects(socket.look())
    rmSync(path, { recursive: true })
    assert.equal(await socket.look(), 'remade')
  })

  it('is gone after its end, with every connection', async (t) => {
    const { path, socket } = await stage(t)
    const { client } = await talk(path)
    const closed = once(client, 'close')
    socket.close()
    await closed
    assert.ok(!existsSync(path))
  })
})
