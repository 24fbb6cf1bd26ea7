import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { isInstance, isTelling } from '../../supervisor/links/argv-match.ts'

const links: Record<string, string> = {
  '/usr/bin/kb': '/opt/kb/bin/kb.js',
  '/opt/kb/bin/kb.js': '/opt/kb/bin/kb.js',
  '/home/op/.npm/_npx/1/node_modules/.bin/mcp-server-memory':
    '/home/op/.npm/_npx/1/node_modules/@modelcontextprotocol/server-memory/dist/index.js',
}
const real = (word: string) => links[word] ?? null
const words = (text: string) => text.split(' ')
const matches = (command: readonly string[], seen: readonly string[]) => isInstance(command, seen, real)

describe('a process is an instance of a command', () => {
  const same: [string, readonly string[], readonly string[]][] = [
    ['with the very words', words('python3 /srv/kb.py --x'), words('python3 /srv/kb.py --x')],
    ['with the full path of the program', words('kb --x'), words('/usr/bin/kb --x')],
    [
      "by a virtual environment's own name",
      words('/venv/bin/python kb.py'),
      words('/usr/bin/python3.11 kb.py'),
    ],
    ['behind the interpreter of its first line', words('kb --x'), words('node /usr/bin/kb --x')],
    ['through a link', words('/usr/bin/kb --x'), words('node /opt/kb/bin/kb.js --x')],
    ['behind options of that interpreter', words('kb --x'), words('python3 -u /usr/bin/kb --x')],
    ['of a shell that was replaced by it', ['sh', '-c', 'exec node /srv/kb.js'], words('node /srv/kb.js')],
    ['of env with variables', words('env A=1 B=2 node /srv/kb.js'), words('node /srv/kb.js')],
    [
      'of npx by its title',
      words('npx -y @modelcontextprotocol/server-memory'),
      ['npm exec @modelcontextprotocol/server-memory'],
    ],
    [
      'of npx by the file of its package',
      words('npx -y @modelcontextprotocol/server-memory@2026.8.31 /data'),
      words('node /home/op/.npm/_npx/1/node_modules/.bin/mcp-server-memory /data'),
    ],
    ['of uvx as it replaces itself', words('uvx mcp-server-git'), words('uv tool uvx mcp-server-git')],
    [
      'of uvx by its tool',
      words('uvx --from mcp mcp-server-git --repository /x'),
      words('/c/bin/python /home/op/.cache/uv/archive-v0/1/bin/mcp-server-git --repository /x'),
    ],
  ]
  for (const [how, command, seen] of same) it(how, () => assert.ok(matches(command, seen)))
})

describe('a process is no instance of a command', () => {
  const other: [string, readonly string[], readonly string[]][] = [
    ['with one argument more', words('python3 /srv/kb.py'), words('python3 /srv/kb.py --x')],
    ['with one argument less', words('python3 /srv/kb.py --x'), words('python3 /srv/kb.py')],
    ['with another script', words('python3 /srv/kb.py'), words('python3 /srv/other.py')],
    ['with a script of that name elsewhere', words('/usr/bin/kb'), words('node /tmp/kb')],
    ['that only speaks of it', words('node /srv/kb.js'), words('vim /srv/kb.js')],
    ['under another interpreter', words('node /srv/kb.js'), words('python3 /srv/kb.js')],
    ['of another package', words('npx -y kb'), ['npm exec kb2']],
    [
      'of a shell line with more than one command',
      ['sh', '-c', 'a; node /srv/kb.js'],
      words('node /srv/kb.js'),
    ],
    ['without words', words('kb'), []],
    ['of nothing', [], words('kb')],
  ]
  for (const [how, command, seen] of other) it(how, () => assert.equal(matches(command, seen), false))
})

describe('a command line tells what runs', () => {
  it('unless it is a bare interpreter', () => {
    assert.ok(isTelling(words('python3 /srv/kb.py')))
    assert.ok(isTelling(words('kb')))
    assert.equal(isTelling(words('node')), false)
    assert.equal(isTelling(words('python3 -i')), false)
  })
})
