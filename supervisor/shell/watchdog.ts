/**
 * Ends a supervisor that hangs. A worker thread counts how often it looked without a new beat: 10 looks, one
 * every 3 s, so that sleep and SIGSTOP, which stop the worker as well, do no harm. After SIGKILL the keeper
 * (or launchd, systemd) starts a new supervisor, which adopts the children.
 */
import { Worker } from 'node:worker_threads'

/** Missed beats until the end. */
const LOOKS = 10
const LOOK_MS = 3_000

const SOURCE = `
const { workerData } = require('node:worker_threads')
const beats = new Int32Array(workerData.shared)
let last = -1
let missed = 0
setInterval(() => {
  const now = Atomics.load(beats, 0)
  missed = now === last ? missed + 1 : 0
  last = now
  if (missed >= workerData.looks) process.kill(process.pid, 'SIGKILL')
}, workerData.lookMs)
`

/**
 * Starts the watchdog; `beat` is to be called at least once in 30 s. The worker comes up by itself, even if
 * the main thread hangs from here on.
 */
export function startWatchdog(looks = LOOKS, lookMs = LOOK_MS): { beat(): void; stop(): Promise<void> } {
  const shared = new SharedArrayBuffer(4)
  const beats = new Int32Array(shared)
  const worker = new Worker(SOURCE, {
    eval: true,
    workerData: { shared, looks, lookMs },
    // Options of the main thread, such as a preload from NODE_OPTIONS, must not keep it from running.
    execArgv: [],
    env: {},
    resourceLimits: { maxOldGenerationSizeMb: 8, maxYoungGenerationSizeMb: 2, stackSizeMb: 1 },
  })
  worker.unref()
  return {
    beat: () => void Atomics.add(beats, 0, 1),
    stop: async () => void (await worker.terminate()),
  }
}
