import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { ranBy } from '../../supervisor/shell/script-operand.ts'

/** A command as words, and the script that it runs. */
const scripts: readonly (readonly [string, string | null])[] = [
  ['sh run.sh data.txt', 'run.sh'],
  ['/bin/sh -c text data.txt', null],
  ['bash -euo pipefail run.sh', 'run.sh'],
  ['bash -ec text data.txt', null],
  ['bash --norc --rcfile rc run.sh', 'run.sh'],
  ['zsh -- -odd.sh', '-odd.sh'],
  ['sh -s data.txt', null],
  ['python3 -u ~/kb/server.py data.db', '~/kb/server.py'],
  ['/usr/bin/python3.12 -X dev -W ignore server.py', 'server.py'],
  ['python -m kb.server data.db', null],
  ['python3 -Im kb.server data.db', null],
  ['python3 -c text data.db', null],
  ['python - data.db', null],
  ['node --no-warnings -r ./hook.js --import ./boot.mjs server.mjs data.json', 'server.mjs'],
  ['node --env-file .env --env-file=.other server.mjs', 'server.mjs'],
  ['node --max-old-space-size=512 server.mjs', 'server.mjs'],
  ['node -e text data.json', null],
  ['node --eval=text data.json', null],
  ['node -p text', null],
  ['tsx watch --tsconfig t.json src/server.ts', 'src/server.ts'],
  ['ruby -w -I lib -rjson server.rb data', 'server.rb'],
  ['ruby -we text data', null],
  ['perl -w -I lib -MFoo server.pl', 'server.pl'],
  ['perl -ne text data', null],
  ['deno run -A --config deno.json server.ts data.json', 'server.ts'],
  ['deno task start', null],
  ['bun run --watch server.ts', 'server.ts'],
  ['bun server.ts', 'server.ts'],
  ['bun test', null],
  ['uv run --with httpx -p 3.12 server.py data.db', 'server.py'],
  ['uv run -- python -u server.py', 'server.py'],
  ['uv run -m kb.server', null],
  ['uv run --script server', 'server'],
  ['uv sync', null],
  ['java -cp lib -jar server.jar data', 'server.jar'],
  ['env -u A B=1 node server.mjs', 'server.mjs'],
  ['nice -n 5 nohup python3 server.py', 'server.py'],
  ['kb-server data.db', null],
  ['sh', null],
  ['node', null],
]

describe('the script of a command', () => {
  for (const [command, script] of scripts) {
    it(`\`${command}\` runs ${script ?? 'no script file'}`, () => {
      assert.equal(ranBy(command.split(' ')).script, script)
    })
  }

  it('stands behind programs that run others, which count, too', () => {
    assert.deepEqual(ranBy(['env', 'A=1', 'nice', '-n', '5', '/opt/kb', 'x']).programs, ['nice', '/opt/kb'])
    assert.deepEqual(ranBy(['uv', 'run', 'kb-server', 'data.db']).programs, ['kb-server'])
    assert.deepEqual(ranBy(['env', 'A=1']), { programs: [], script: null, folder: null })
  })

  it('is relative to the folder that the command names', () => {
    assert.equal(ranBy(['uv', '--directory', '/opt/kb', 'run', 'server.py']).folder, '/opt/kb')
    assert.equal(ranBy(['env', '-C', '/opt', 'node', 'server.mjs']).folder, '/opt')
    assert.equal(ranBy(['bun', '--cwd', '/opt', 'server.ts']).folder, '/opt')
    assert.equal(ranBy(['node', 'server.mjs']).folder, null)
  })
})
