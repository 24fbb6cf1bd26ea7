import assert from 'node:assert/strict'
import { mkdir, readdir, readFile, stat, symlink, unlink, writeFile } from 'node:fs/promises'
import { homedir } from 'node:os'
import { type TestContext, test } from 'node:test'
import { config } from '../../probes/config.ts'
import { pruneSchema, repairSchema, schemaProblems } from '../../probes/json-schema.ts'
import { createTarget, openProbe, reasonOf, settingsOf, temporaryFolder } from './target.ts'

/** The forms of OpenClaw's schema, small: closed objects, choices, defaults, a pasted-in plugin schema. */
const SCHEMA = {
  $schema: 'http://json-schema.org/draft-07/schema#',
  type: 'object',
  properties: {
    gateway: {
      type: 'object',
      properties: {
        mode: { type: 'string', enum: ['local', 'remote'] },
        port: { type: 'integer', minimum: 1, maximum: 65_535 },
        token: {
          anyOf: [
            { type: 'string' },
            {
              oneOf: [
                {
                  type: 'object',
                  properties: {
                    source: { type: 'string', const: 'env' },
                    id: { type: 'string', pattern: '^[A-Z_]+$' },
                  },
                  required: ['source', 'id'],
                  additionalProperties: false,
                },
              ],
            },
          ],
        },
      },
      additionalProperties: false,
    },
    channels: {
      type: 'object',
      properties: {
        telegram: {
          type: 'object',
          properties: {
            policy: { default: 'allowlist', type: 'string', enum: ['open', 'allowlist'] },
            apiRoot: { type: 'string', format: 'uri' },
          },
          required: ['policy'],
          additionalProperties: false,
        },
      },
      additionalProperties: {},
    },
    plugins: {
      type: 'object',
      additionalProperties: {
        $defs: { route: { type: 'object', properties: { path: { type: 'string' } }, required: ['path'] } },
        type: 'object',
        properties: {
          routes: { type: 'array', items: { $ref: '#/$defs/route' } },
          lost: { $ref: '#/$defs/nowhere' },
        },
      },
    },
  },
  additionalProperties: false,
}

/** Documents and what the probe says of them; the verdicts are OpenClaw's own on the same forms. */
const CORPUS: readonly [title: string, text: string, reason: string | null][] = [
  ['an empty object', '{}', null],
  ['a minimal document', '{"gateway":{"mode":"local","port":18789}}', null],
  ['comments, single quotes and trailing commas', "// x\n{gateway: {mode: 'local', /* y */},}", null],
  ['a byte order mark', '\uFEFF{"gateway":{"mode":"local"}}', null],
  ['a token as text', '{"gateway":{"token":"abc"}}', null],
  ['a token as a reference', '{"gateway":{"token":{"source":"env","id":"TOKEN"}}}', null],
  ['a channel without a member that has a default', '{"channels":{"telegram":{}}}', null],
  ['a plugin with good routes', '{"plugins":{"a":{"routes":[{"path":"/x"}],"lost":1}}}', null],
  ['an unknown key at the top', '{"bogusKey":1}', 'bogusKey: unknown key'],
  ['an unknown key below', '{"gateway":{"nope":1}}', 'gateway.nope: unknown key'],
  ['a port as text', '{"gateway":{"port":"18789"}}', 'gateway.port: must be integer (got string)'],
  ['a fraction as port', '{"gateway":{"port":1.5}}', 'gateway.port: must be integer (got number)'],
  ['port zero', '{"gateway":{"port":0}}', 'gateway.port: must be >= 1'],
  ['a port too large', '{"gateway":{"port":99999}}', 'gateway.port: must be <= 65535'],
  ['an unknown mode', '{"gateway":{"mode":"locall"}}', 'gateway.mode: must be "local" or "remote"'],
  ['a number as token', '{"gateway":{"token":5}}', 'gateway.token: must be string or object (got number)'],
  ['a reference that lacks its id', '{"gateway":{"token":{"source":"env"}}}', 'gateway.token.id: missing'],
  [
    'no URL',
    '{"channels":{"telegram":{"apiRoot":"no url"}}}',
    'channels.telegram.apiRoot: must match format "uri"',
  ],
  [
    'a plugin with a bad route',
    '{"plugins":{"a":{"routes":[{"path":5},{}]}}}',
    'plugins.a.routes.0.path: must be string (got number); plugins.a.routes.1.path: missing',
  ],
  [
    'several problems at once',
    '{"bogusKey":1,"gateway":{"port":"x"}}',
    'bogusKey: unknown key; gateway.port: must be integer (got string)',
  ],
  ['a list', '[]', 'the document: must be object (got array)'],
  ['null', 'null', 'the document: must be object (got null)'],
  ['an empty file', '', '1:1: ends too early'],
  ['a truncated file', '{"gateway":{"mode":"local",\n"port":187', '2:11: ends too early'],
  ['a stray character', '{"gateway":{}}\n}', '2:1: unexpected character'],
]

function isJson(text: string): boolean {
  try {
    return JSON.parse(text) !== undefined
  } catch {
    return false
  }
}

async function configFile(t: TestContext, text: string) {
  const folder = await temporaryFolder(t)
  await writeFile(`${folder}/schema.json`, JSON.stringify(SCHEMA))
  await writeFile(`${folder}/openclaw.json`, text)
  return { folder, file: `${folder}/openclaw.json`, schema: { file: `${folder}/schema.json` } }
}

for (const [title, text, reason] of CORPUS) {
  test(`config judges ${title}`, async (t) => {
    const { file, schema } = await configFile(t, text)
    const check = await openProbe(t, config, { file, format: 'json5', schema })
    const expected = { kind: 'fail', reason: `openclaw.json: ${reason}`, progress: false }
    assert.deepEqual(await check(), reason === null ? { kind: 'pass', note: null } : expected)
  })
}

test('cutting the schema down to the document changes no verdict', async () => {
  const { Ajv } = await import('ajv')
  const schema = structuredClone(SCHEMA)
  repairSchema(schema)
  const whole = new Ajv({ strict: false, logger: false, formats: { uri: URL.canParse } }).compile(schema)
  const documents = CORPUS.filter(([, text]) => isJson(text))
  assert.ok(documents.length >= 18)
  for (const [title, text] of documents) {
    const document = JSON.parse(text)
    assert.equal((await schemaProblems(schema, document)).length === 0, whole(document), title)
  }
})

test('what a document does not contain is cut out of its schema', () => {
  const pruned = pruneSchema(SCHEMA, [{ gateway: { port: 1 } }]) as typeof SCHEMA
  assert.equal(pruned.properties.channels, true)
  assert.equal(pruned.properties.gateway.properties.token, true)
  assert.deepEqual(pruned.properties.gateway.properties.port, SCHEMA.properties.gateway.properties.port)
})

test('config asks for the schema once per version of the program, and keeps it private', async (t) => {
  const { folder, file } = await configFile(t, '{"gateway":{"port":1}}')
  const program = `${folder}/program.mjs`
  await writeFile(
    program,
    `
    import { appendFileSync, readFileSync } from 'node:fs'
    appendFileSync('${folder}/calls', process.argv[2] + '\\n')
    console.log(readFileSync('${folder}/' + process.argv[2] + '.json', 'utf8'))`,
  )
  await writeFile(`${folder}/version.json`, '1.0')
  const calls = async () => (await readFile(`${folder}/calls`, 'utf8')).trim().split('\n').sort()
  const ask = (what: string) => [process.execPath, program, what]
  const settings = { file, schema: { command: ask('schema'), version: ask('version') } }
  const live = { ...createTarget(`${folder}/cache`), generation: 1 }
  const check = await openProbe(t, config, settings, live)
  assert.equal((await check()).kind, 'pass')
  assert.equal((await check()).kind, 'pass')
  assert.deepEqual(await calls(), ['schema', 'version'])
  const [cached] = await readdir(live.cacheDir)
  assert.equal((await stat(`${live.cacheDir}/${cached}`)).mode & 0o777, 0o600)
  await writeFile(file, '{"gateway":{"port":"x"}}')
  assert.equal((await check()).kind, 'fail')
  assert.deepEqual(await calls(), ['schema', 'version', 'version'])
  await writeFile(`${folder}/version.json`, '2.0')
  await writeFile(`${folder}/schema.json`, '{"type":"object"}')
  live.generation = 2
  assert.equal((await check()).kind, 'pass')
  assert.deepEqual(await calls(), ['schema', 'schema', 'version', 'version', 'version'])
})

test('config cannot tell when the program gives no schema, but finds what needs none', async (t) => {
  const { file } = await configFile(t, '{}')
  const broken = [process.execPath, '-e', 'console.error("no such command"); process.exit(2)']
  const settings = { file, schema: { command: broken, version: broken } }
  const check = await openProbe(t, config, settings)
  const result = await check()
  assert.equal(result.kind, 'unknown')
  assert.match(reasonOf(result), /exit 2: no such command$/)
  const strict = await openProbe(t, config, {
    ...settings,
    require: [{ path: 'gateway.mode', message: 'is needed' }],
  })
  assert.equal(reasonOf(await strict()), 'openclaw.json: gateway.mode: is needed')
  await writeFile(file, '{')
  assert.equal((await check()).kind, 'fail')
})

test('config adds what the program needs beyond its schema', async (t) => {
  const { file, schema } = await configFile(t, '{"gateway":{"port":1},"bogus":1}')
  const require = [
    { path: 'gateway.mode', message: 'the gateway does not start without it' },
    { path: 'gateway.port', equals: 18_789, message: 'must be 18789, as in paios.yaml' },
    { path: 'gateway.port', matches: '^1$', message: 'never told' },
    { path: 'mcpServers', exists: false, message: 'never told' },
  ]
  const check = await openProbe(t, config, { file, schema, require })
  const expected = [
    'openclaw.json: bogus: unknown key',
    'gateway.mode: the gateway does not start without it',
    'gateway.port: must be 18789, as in paios.yaml',
  ]
  assert.equal(reasonOf(await check()), expected.join('; '))
})

test('config sees each change of the file', async (t) => {
  const { file, schema } = await configFile(t, '{}')
  const check = await openProbe(t, config, { file, schema })
  assert.equal((await check()).kind, 'pass')
  await writeFile(file, '{"bogus":1}')
  assert.equal((await check()).kind, 'fail')
  await writeFile(file, '{}')
  assert.equal((await check()).kind, 'pass')
  await unlink(file)
  assert.equal(reasonOf(await check()), 'openclaw.json: no such file')
})

test('config puts included files in before it judges', async (t) => {
  const { folder, file, schema } = await configFile(
    t,
    '{"$include":["./a.json"],"gateway":{"$include":"b.json"}}',
  )
  await writeFile(`${folder}/a.json`, '{"channels":{"telegram":{}}}')
  const check = await openProbe(t, config, { file, schema })
  assert.equal(reasonOf(await check()), 'openclaw.json: $include b.json: no such file')
  await writeFile(`${folder}/b.json`, '{"port":1}')
  assert.equal((await check()).kind, 'pass')
  await writeFile(`${folder}/b.json`, '{"port":0}')
  assert.equal(reasonOf(await check()), 'openclaw.json: gateway.port: must be >= 1')
  await writeFile(`${folder}/b.json`, '{"$include":"b.json"}')
  assert.match(reasonOf(await check()), /more than 10 files deep$/)
})

test('config gives the place of a fault in strict JSON, and never quotes the file', async (t) => {
  const { file } = await configFile(t, '{\n  "token": "hunter2",\n}')
  const check = await openProbe(t, config, { file })
  assert.match(reasonOf(await check()), /^openclaw\.json: 3:1: not JSON/)
  await writeFile(file, '{"token": "hunter2" hunter3}')
  const reason = reasonOf(await check())
  assert.match(reason, /^openclaw\.json: 1:21: unexpected character$/)
})

test('config reads regular files only, also through a link', async (t) => {
  const { folder, file } = await configFile(t, '{}')
  await symlink(file, `${folder}/link.json`)
  const link = await openProbe(t, config, { file: `${folder}/link.json` })
  assert.equal((await link()).kind, 'pass')
  await mkdir(`${folder}/dir.json`)
  const directory = await openProbe(t, config, { file: `${folder}/dir.json` })
  assert.equal(reasonOf(await directory()), 'dir.json: is not a regular file')
})

test('config names the file to watch, with the home put in', () => {
  const settings = settingsOf(config).parse({ file: '~/.openclaw/openclaw.json' })
  assert.deepEqual(config.watches(settings), [`${homedir()}/.openclaw/openclaw.json`])
})
