// The least that a supervisor in Node can do: spawn, and on 'exit' spawn again. Each child has a session of its own
// and its log file as its output, opened once for append. Usage: node floor.mjs FILE, with [[command, logPath], …].
import { spawn } from 'node:child_process'
import { openSync, readFileSync } from 'node:fs'

let isStopping = false
const live = new Set()

for (const [[program, ...args], logPath] of JSON.parse(readFileSync(process.argv[2], 'utf8'))) {
  const fd = openSync(logPath, 'a', 0o600)
  const start = () => {
    const child = spawn(program, args, { detached: true, stdio: ['ignore', fd, fd] })
    live.add(child)
    child.on('exit', () => {
      live.delete(child)
      if (!isStopping) start()
      else if (live.size === 0) process.exit(0)
    })
  }
  start()
}

process.on('SIGTERM', () => {
  isStopping = true
  for (const child of live) child.kill('SIGTERM')
})
