/** What the ends of these programs mean: lines from their documentation and sources, and real Python. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it, type TestContext } from 'node:test'
import type { ServiceSpec } from '../../schemas/service.ts'
import { classify } from '../../supervisor/core/exits.ts'
import { temporaryFolder } from '../probes/target.ts'
import { specOf } from './spec.ts'

const folder = { folder: '/srv/x' }
const specs = {
  'llama-server': specOf('llama-server', { model: '/m.gguf' }, '/home/me'),
  ollama: specOf('ollama', {}, '/home/me'),
  syncthing: specOf('syncthing', {}, '/home/me'),
  khoj: specOf('khoj', {}, '/home/me'),
  leon: specOf('leon', folder, '/home/me'),
  nanoclaw: specOf('nanoclaw', folder, '/home/me'),
  nemoclaw: specOf('nemoclaw', { sandbox: 'my-claw' }, '/home/me'),
  'pai-voice': specOf('pai-voice', {}, '/home/me'),
  'file-watcher': specOf('file-watcher', { command: ['watch'], folder: '/srv/x' }, '/home/me'),
}

type Row = readonly [keyof typeof specs, number, string, 'planned' | 'fatal' | 'failure' | 'success', string]

const ROWS: readonly Row[] = [
  [
    'llama-server',
    1,
    "llama_model_load: error loading model: unknown model architecture: 'new'\nmain: exiting due to model loading error",
    'fatal',
    "the model cannot be loaded: unknown model architecture: 'new'",
  ],
  [
    'llama-server',
    1,
    'gguf_init_from_file: failed to open GGUF file\nllama_model_load_from_file_impl: failed to load model',
    'fatal',
    'the model cannot be loaded',
  ],
  [
    'llama-server',
    1,
    'ggml_backend_cuda_buffer_type_alloc_buffer: cudaMalloc failed: out of memory\nerror loading model: unable to allocate CUDA0 buffer',
    'failure',
    'there is too little memory for the model',
  ],
  [
    'llama-server',
    1,
    "start: couldn't bind HTTP server socket, hostname: 127.0.0.1, port: 8080",
    'failure',
    'its port is held by another program',
  ],
  [
    'llama-server',
    1,
    'error: invalid argument: --nope',
    'fatal',
    'its arguments are wrong: invalid argument: --nope',
  ],
  [
    'ollama',
    1,
    'Error: listen tcp 127.0.0.1:11434: bind: address already in use',
    'failure',
    'its port is held by another program, often the Ollama app',
  ],
  [
    'ollama',
    1,
    'Error: mkdir /data/models: permission denied',
    'fatal',
    'mkdir /data/models: permission denied',
  ],
  ['ollama', 0, '', 'success', 'exit code 0'],
  ['syncthing', 3, 'INFO: Exiting', 'planned', 'a restart that was asked for on its page'],
  ['syncthing', 255, '', 'failure', 'its worker process was killed'],
  [
    'khoj',
    1,
    'psycopg2.OperationalError: connection to server at "localhost", port 5432 failed: Connection refused',
    'failure',
    'its database does not answer',
  ],
  [
    'khoj',
    1,
    "ModuleNotFoundError: No module named 'torch'",
    'fatal',
    'the module torch is not installed in this Python',
  ],
  [
    'leon',
    1,
    "Error: Cannot find module '/srv/x/server/dist/pre-check.js'",
    'fatal',
    'it is not built, or its packages are missing: no /srv/x/server/dist/pre-check.js (npm install, npm run build)',
  ],
  [
    'leon',
    1,
    'Error: listen EADDRINUSE: address already in use 0.0.0.0:1337',
    'failure',
    'port 1337 is held by another program',
  ],
  [
    'nanoclaw',
    1,
    'Error: another host instance is already serving ncl at /srv/x/data/ncl.sock',
    'fatal',
    'another NanoClaw runs from the same checkout',
  ],
  [
    'nanoclaw',
    1,
    'was compiled against a different Node.js version using\nNODE_MODULE_VERSION 127.',
    'fatal',
    'its native modules were built for another Node (pnpm rebuild)',
  ],
  ['nemoclaw', 1, 'Error: sandbox my-claw not found', 'fatal', 'there is no sandbox my-claw (nemoclaw list)'],
  [
    'pai-voice',
    1,
    'error: Failed to start server. Is port 8888 in use?',
    'failure',
    'its port is held by another program',
  ],
  [
    'pai-voice',
    1,
    'error: Module not found "server.ts"',
    'fatal',
    'a file or package of its is missing: server.ts',
  ],
  [
    'file-watcher',
    1,
    'Error: ENOSPC: System limit for number of file watchers reached, watch',
    'fatal',
    'the system allows no more file watches (fs.inotify.max_user_watches)',
  ],
]

describe('the exits of', () => {
  for (const [id, code, log, expected, reason] of ROWS) {
    it(`${id}: exit ${code}, ${log.split('\n', 1)[0] || 'nothing said'}, is ${expected}`, () => {
      const ending = classify(specs[id], { code, signal: null }, `some line before\n${log}\n`)
      assert.equal(ending.class, expected)
      assert.ok(ending.reason.endsWith(reason), ending.reason)
    })
  }
})

/** Runs the spec's command as the supervisor would, and says what its end means. */
function runPython(spec: ServiceSpec, cwd: string) {
  const [program = '', ...args] = spec.command ?? []
  const { PATH = '' } = process.env
  const done = spawnSync(program, args, { cwd, env: { PATH, HOME: cwd, ...spec.env }, encoding: 'utf8' })
  const ending = classify(spec, { code: done.status, signal: done.signal }, `${done.stdout}${done.stderr}`)
  return { ...ending, stdout: done.stdout }
}

/** The class and reason of a real Python running this text. */
async function endOf(t: TestContext, text: string) {
  const home = await temporaryFolder(t)
  writeFileSync(join(home, 'it.py'), text)
  return { ...runPython(specOf('python-service', { script: 'it.py' }, home), home), home }
}

describe('python-service, with a real Python', () => {
  const scripts: readonly (readonly [string, string, string, RegExp])[] = [
    ['a missing module', 'import surely_not_there', 'fatal', /the module surely_not_there is not installed/],
    ['a missing part of a package', 'import os.nothing', 'fatal', /the module os\.nothing is not installed/],
    ['a name that a module lacks', 'from json import nope', 'fatal', /the module json has no nope/],
    ['code that does not parse', 'x = 1\ndef f(:\n  pass', 'fatal', /it\.py line 2 is no valid Python: /],
    [
      'wrong indentation',
      'if True:\nx = 1',
      'fatal',
      /it\.py line 2 is no valid Python: expected an indented/,
    ],
    ['an exception', 'raise ValueError("no key")', 'failure', /ValueError: no key$/],
    [
      'a port in use',
      'import socket\na = socket.socket(); a.bind(("127.0.0.1", 0)); a.listen()\nsocket.socket().bind(a.getsockname())',
      'failure',
      /its port is held/,
    ],
    ['a wanted end', 'raise SystemExit(0)', 'success', /exit code 0$/],
    ['a wanted failure', 'raise SystemExit(3)', 'failure', /exit code 3$/],
    [
      'an import that failed and was dealt with',
      'try:\n  import surely_not_there\nexcept ImportError as e:\n  print("no extra:", e)\nraise SystemExit(4)',
      'failure',
      /exit code 4$/,
    ],
  ]
  for (const [what, text, expected, reason] of scripts) {
    it(`tells ${what}`, async (t) => {
      const ending = await endOf(t, text)
      assert.equal(ending.class, expected, ending.reason)
      assert.match(ending.reason, reason)
    })
  }

  it('tells a script and a module that do not exist', async (t) => {
    const home = await temporaryFolder(t)
    const script = runPython(specOf('python-service', { script: 'gone.py' }, home), home)
    assert.equal(script.class, 'fatal')
    assert.match(script.reason, /the script .*gone\.py does not exist/)
    const module = runPython(specOf('python-service', { module: 'surely_not_there' }, home), home)
    assert.equal(module.class, 'fatal')
    assert.match(module.reason, /the module surely_not_there is not installed/)
  })

  it('runs a module, unbuffered, with the Python of the venv', async (t) => {
    const home = await temporaryFolder(t)
    mkdirSync(join(home, 'venv/bin'), { recursive: true })
    const real = spawnSync('python3', ['-c', 'import sys; print(sys.executable)'], { encoding: 'utf8' })
    symlinkSync(real.stdout.trim(), join(home, 'venv/bin/python'))
    mkdirSync(join(home, 'tool'))
    writeFileSync(
      join(home, 'tool/__main__.py'),
      'import os, sys\nprint(sys.argv[1:], os.environ["VIRTUAL_ENV"], os.environ["PYTHONUNBUFFERED"], end="")\nos._exit(0)',
    )
    const spec = specOf('python-service', { module: 'tool', args: ['-v'], venv: '~/venv/' }, home)
    assert.deepEqual(spec.command, [join(home, 'venv/bin/python'), '-m', 'tool', '-v'])
    assert.equal(runPython(spec, home).stdout, `['-v'] ${join(home, 'venv')} 1`)
  })

  it('needs exactly one of script and module', () => {
    assert.throws(() => specOf('python-service', {}, '/home/me'), /either `script` or `module`/)
    const both = { script: 'a.py', module: 'a' }
    assert.throws(() => specOf('python-service', both, '/home/me'), /either `script` or `module`/)
    assert.throws(() => specOf('python-service', { module: 'a; b' }, '/home/me'), /name of a Python module/)
  })

  it('with a port is ready when that takes a connection, with a heartbeat lives as long as it beats', () => {
    const spec = specOf('python-service', { script: 'a.py', port: 9000, heartbeat: '2m' }, '/home/me')
    assert.deepEqual(
      spec.probes.map(({ kind, role }) => `${kind} ${role}`),
      ['port preflight', 'tcp startup', 'tcp readiness', 'heartbeat liveness'],
    )
    assert.deepEqual(
      [spec.ports, specOf('python-service', { script: 'a.py' }, '/home/me').probes],
      [[9000], []],
    )
  })
})
