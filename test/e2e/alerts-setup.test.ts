import assert from 'node:assert/strict'
import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it, type TestContext } from 'node:test'
import { parse } from 'yaml'
import { type FakeTelegram, OWNER, startTelegram, TOKEN } from '../telegram-server.ts'
import { ENTRY, fixture, kill, until } from './mesh.ts'
import { openMesh, SLEEPER, writeDocument } from './run-cli.ts'

const LIMIT = { timeout: 180_000 }
const DOCUMENT = `# my mesh
version: 1
metrics: { enabled: false } # quiet
services:
  kb: { command: ${JSON.stringify(SLEEPER)} } # the one
`

/** Runs `paios alerts setup` with the token on its stdin, and collects what it says. */
function setUp(home: string, api: string, token = TOKEN) {
  const child: ChildProcess = spawn(process.execPath, [ENTRY, 'alerts', 'setup', '--api', api], {
    env: { ...process.env, PAIOS_HOME: home },
    stdio: ['pipe', 'pipe', 'pipe'],
  })
  let said = ''
  for (const stream of [child.stdout!, child.stderr!]) stream.on('data', (part) => (said += part))
  child.stdin!.end(`${token}\n`)
  const ended = new Promise<number | null>((resolve) => child.on('exit', resolve))
  return { child, said: () => said, ended }
}

/** The same at a terminal: what is typed, what the screen shows, and how the terminal is left. */
function atTerminal(t: TestContext, home: string, api: string) {
  const [driver = ''] = fixture('on-terminal.py').slice(1)
  const argv = [driver, process.execPath, ENTRY, 'alerts', 'setup', '--api', api]
  const env = { ...process.env, PAIOS_HOME: home }
  const child: ChildProcess = spawn('python3', argv, { env, stdio: ['pipe', 'pipe', 'pipe'] })
  let screen = ''
  let report = ''
  child.stdout!.on('data', (part) => (screen += part))
  child.stderr!.on('data', (part) => (report += part))
  t.after(() => void child.kill())
  const ended = new Promise<{ code: number; echo: boolean; lines: boolean }>((resolve, reject) => {
    child.once('error', reject)
    child.once('close', () => resolve(JSON.parse(report)))
  })
  return {
    screen: () => screen,
    prompts: () => screen.split('it is not shown').length - 1,
    type: (keys: string) => void child.stdin!.write(keys),
    ended,
  }
}

async function place(t: TestContext): Promise<{ telegram: FakeTelegram; mesh: ReturnType<typeof openMesh> }> {
  const telegram = await startTelegram()
  t.after(() => telegram.close())
  const mesh = openMesh(t)
  writeDocument(mesh, DOCUMENT)
  return { telegram, mesh }
}

const codeIn = (text: string) => /\/start (\d{6})/.exec(text)?.[1]

describe('paios alerts', LIMIT, () => {
  it('setup finds the chat of who sends the code, keeps the token, applies it, and test gets through', async (t) => {
    const { telegram, mesh } = await place(t)
    await mesh.cli(['up'])
    const running = setUp(mesh.home, telegram.url)
    const code = await until('the code', () => codeIn(running.said()))
    assert.match(running.said(), new RegExp(`https://t\\.me/paios_test_bot\\?start=${code}`))
    await telegram.write(`/start ${Number(code) + 1}`, 13)
    await telegram.write(`/start ${code}`, OWNER)
    // It goes on listening for a while: another poller would show itself.
    assert.equal(await running.ended, 0, running.said())
    assert.match(telegram.shown()[0]?.text ?? '', /tells you here what fails/)
    const secret = join(mesh.home, 'secrets', 'telegram')
    assert.deepEqual([readFileSync(secret, 'utf8'), statSync(secret).mode & 0o777], [`${TOKEN}\n`, 0o600])
    const text = readFileSync(join(mesh.home, 'paios.yaml'), 'utf8')
    assert.ok(text.startsWith(DOCUMENT.trimEnd()), 'every line and comment stays')
    const token = `\${file:${secret}}`
    assert.deepEqual(parse(text).alerts, { telegram: { token, chat: OWNER, api: telegram.url } })
    assert.equal(telegram.waiting(), 0, 'what was sent to the bot is confirmed')

    const tested = await mesh.cli(['alerts', 'test'])
    assert.equal(tested.code, 0, tested.stdout + tested.stderr)
    assert.match(tested.stdout, /^sent +[\d.]+ s {2}telegram$/m)
    assert.match(telegram.shown().at(-1)?.text ?? '', /Test from/)
    telegram.fail(['sendMessage'], {
      kind: 'refuse',
      code: 403,
      text: 'Forbidden: bot was blocked by the user',
    })
    const failed = await mesh.cli(['alerts', 'test', '--json'])
    const [telling] = (JSON.parse(failed.stdout) as { channels: { isSent: boolean; text: string }[] })
      .channels
    assert.deepEqual([failed.code, telling?.isSent], [1, false])
    assert.match(telling?.text ?? '', /blocked by the user/)

    const again = setUp(mesh.home, telegram.url)
    assert.equal(await again.ended, 5)
    assert.match(again.said(), /in use here already/)
    noToken(mesh.home, secret)
  })

  it('setup refuses a bot whose updates another program asks for', async (t) => {
    const { telegram, mesh } = await place(t)
    const text =
      'Conflict: terminated by other getUpdates request; make sure that only one bot instance is running'
    telegram.fail(['getUpdates'], { kind: 'refuse', code: 409, text })
    const running = setUp(mesh.home, telegram.url)
    assert.equal(await running.ended, 5)
    assert.match(running.said(), /another program asks for this bot's updates .*give PAIOS a bot of its own/)
    assert.equal(readFileSync(join(mesh.home, 'paios.yaml'), 'utf8'), DOCUMENT)
  })

  it('setup refuses a token that is none, and one that Telegram does not know', async (t) => {
    const { telegram, mesh } = await place(t)
    const none = setUp(mesh.home, telegram.url, 'hunter2')
    assert.equal(await none.ended, 2)
    assert.match(none.said(), /that is no token of a bot/)
    assert.ok(!none.said().includes('hunter2'))
    const unknown = setUp(mesh.home, telegram.url, TOKEN.replace('fake', 'fale'))
    assert.equal(await unknown.ended, 1)
    assert.match(unknown.said(), /answer 401: Unauthorized: the token is not valid/)
  })

  it('setup changes nothing where the document has problems', async (t) => {
    const { telegram, mesh } = await place(t)
    writeFileSync(join(mesh.home, 'paios.yaml'), 'version: 1\nservies: {}\n')
    const running = setUp(mesh.home, telegram.url)
    assert.equal(await running.ended, 3)
    assert.match(running.said(), /servies/)
    assert.equal(telegram.calls().length, 0)
  })

  it('setup at a terminal shows nothing of the token, which may be mended and pasted with its newline', async (t) => {
    const { telegram, mesh } = await place(t)
    const terminal = atTerminal(t, mesh.home, telegram.url)
    await until('the question', () => terminal.prompts() === 1)
    terminal.type('\r')
    await until('it asks again', () => terminal.prompts() === 2)
    // A line that is dropped, a wrong key and one that means something else, then a paste with what frames one.
    terminal.type('nonsense\u0015')
    terminal.type(`${TOKEN.slice(0, 5)}X\u007f\u001b[D`)
    terminal.type(`\u001b[200~${TOKEN.slice(5)}\u001b[201~\n`)
    const code = await until('the code', () => codeIn(terminal.screen()))
    await telegram.write(`/start ${code}`, OWNER)
    assert.deepEqual(await terminal.ended, { code: 0, echo: true, lines: true }, terminal.screen())
    assert.equal(readFileSync(join(mesh.home, 'secrets', 'telegram'), 'utf8'), `${TOKEN}\n`)
    for (const part of [TOKEN.slice(5), TOKEN.slice(0, 9), 'nonsense'])
      assert.ok(!terminal.screen().includes(part), `the screen shows ${part}`)
  })

  it('setup that Ctrl-C ends at a terminal exits 130, writes nothing and leaves the terminal as it was', async (t) => {
    const { telegram, mesh } = await place(t)
    const before = readdirSync(mesh.home)
    const terminal = atTerminal(t, mesh.home, telegram.url)
    await until('the question', () => terminal.prompts() === 1)
    terminal.type(`${TOKEN.slice(0, 20)}\u0003`)
    assert.deepEqual(await terminal.ended, { code: 130, echo: true, lines: true })
    assert.match(terminal.screen(), /Nothing was changed\./)
    assert.ok(!terminal.screen().includes(TOKEN.slice(0, 20)))
    assert.deepEqual(readdirSync(mesh.home), before)
    assert.equal(readFileSync(join(mesh.home, 'paios.yaml'), 'utf8'), DOCUMENT)
    assert.equal(telegram.calls().length, 0)
  })

  it('setup that is terminated in its question leaves the terminal as it was', async (t) => {
    const { telegram, mesh } = await place(t)
    const terminal = atTerminal(t, mesh.home, telegram.url)
    await until('the question', () => terminal.prompts() === 1)
    const ps = execFileSync('ps', ['axww', '-o', 'pid=,command='], { encoding: 'utf8' })
    const own = ps.split('\n').find((line) => line.includes(telegram.url) && !line.includes('on-terminal'))
    kill(Number.parseInt(own ?? '', 10), 'SIGTERM')
    assert.deepEqual(await terminal.ended, { code: -15, echo: true, lines: true })
    assert.equal(telegram.calls().length, 0)
  })

  it('test says so where there is no channel', async (t) => {
    const { mesh } = await place(t)
    await mesh.cli(['up'])
    const { code, stderr } = await mesh.cli(['alerts', 'test'])
    assert.deepEqual([code, stderr], [1, 'paios: the document has no alerts: paios alerts setup\n'])
  })
})

/** The token is in no file of the home but its own, and in no command line or environment. */
function noToken(home: string, own: string): void {
  const files = readdirSync(home, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile())
  assert.ok(files.length > 5)
  for (const { parentPath, name } of files) {
    const path = join(parentPath, name)
    if (path !== own) assert.ok(!readFileSync(path).includes(TOKEN), `${path} holds the token`)
  }
  const processes = execFileSync('ps', ['axeww', '-o', 'command='], { encoding: 'utf8' })
  assert.ok(!processes.includes(TOKEN))
}
