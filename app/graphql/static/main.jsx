import { GraphiQL } from 'graphiql';
import { getOperationAST } from 'graphql';
import { createClient } from 'graphql-ws';
import { createRoot } from 'react-dom/client';
import 'graphiql/graphiql.css';
import './main.css';

const url = window.location.href.split(/[?#]/)[0];

// A link may carry what to ask: /graphql?query=…&variables=…
const shared = new URLSearchParams(window.location.search);

const WELCOME = `# Put your API key into the Headers tab below, then press the play button.
#
# Ctrl-Space completes names; the book at the left shows the schema.

query Customers {
  customers(first: 5) {
    totalCount
    nodes {
      id
      externalId
      name
      createdAt
    }
  }
}
`;

async function overHttp(params, headers) {
  const response = await fetch(url, {
    method: 'POST',
    headers: {
      accept: 'application/graphql-response+json, application/json',
      'content-type': 'application/json',
      ...headers,
    },
    body: JSON.stringify(params),
  });
  return response.json();
}

async function* overSocket(params, headers) {
  // One socket per subscription: the key may change from one to the next.
  const client = createClient({
    url: url.replace(/^http/, 'ws'),
    connectionParams: headers,
    retryAttempts: 5,
  });
  try {
    yield* client.iterate(params);
  } finally {
    client.dispose();
  }
}

function fetcher(params, { headers = {}, documentAST } = {}) {
  const operation = documentAST && getOperationAST(documentAST, params.operationName);
  return operation?.operation === 'subscription'
    ? overSocket(params, headers)
    : overHttp(params, headers);
}

createRoot(document.getElementById('graphiql')).render(
  <GraphiQL
    fetcher={fetcher}
    query={shared.get('query') ?? undefined}
    variables={shared.get('variables') ?? undefined}
    defaultQuery={WELCOME}
    defaultHeaders={'{\n  "x-api-key": ""\n}'}
    defaultEditorToolsVisibility="headers"
    shouldPersistHeaders={false}
  />,
);
