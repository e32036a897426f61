// Trains a head and asks it: node example.js [HOST:PORT] [TENANT/HEAD]
"use strict";

const path = require("node:path");
const { randomUUID } = require("node:crypto");
const grpc = require("@grpc/grpc-js");
const protoLoader = require("@grpc/proto-loader");

const PROTOS = process.env.CANDELABRA_PROTOS || path.join(__dirname, "..", "..", "protos");
const address = process.argv[2] || process.env.CANDELABRA_SERVER || "127.0.0.1:8001";
const head = process.argv[3] || "node/tickets";

const definition = protoLoader.loadSync(
  ["candelabra/v1/adaptation.proto", "candelabra/v1/inference.proto"],
  { includeDirs: [PROTOS], keepCase: true, longs: Number, enums: String, defaults: true, oneofs: true },
);
const { Adaptation, Inference } = grpc.loadPackageDefinition(definition).candelabra.v1;

// A unary call as a promise, always with a deadline.
function call(client, method, request, seconds) {
  return new Promise((resolve, reject) => {
    const deadline = Date.now() + seconds * 1000;
    client[method](request, { deadline }, (error, response) => (error ? reject(error) : resolve(response)));
  });
}

const EXAMPLES = {
  delivery: [
    "My parcel was due on Monday and nothing has come.",
    "The courier left the box with somebody I do not know.",
    "Tracking has said 'out for delivery' for three days.",
    "Can the parcel go to my office instead?",
    "Half of the order is missing from the package.",
    "The van drove past my house without stopping.",
    "Which day will the sofa be brought?",
    "The package arrived wet and torn open.",
    "Please leave the parcel behind the blue gate.",
    "I was at home all day and still got a missed-delivery note.",
  ],
  billing: [
    "You charged my card twice for one order.",
    "The invoice shows a discount that I never got.",
    "Please send the receipt with our tax number on it.",
    "Why is the total higher than at checkout?",
    "I paid by bank transfer last week; is it booked?",
    "My refund has not reached my account yet.",
    "How do I change the card that you debit every month?",
    "There is a fee on my statement that nobody explained.",
    "The voucher was not taken off the price.",
    "Can I pay the rest in two instalments?",
  ],
};

async function main() {
  const credentials = grpc.credentials.createInsecure();
  const adaptation = new Adaptation(address, credentials);
  const inference = new Inference(address, credentials);
  const examples = Object.entries(EXAMPLES).flatMap(([label, texts]) =>
    texts.map((text) => ({ text, labels: [label] })),
  );
  // `wait` holds the call until the job has ended; the same request_id never trains twice.
  // No gate in the way of an example: `force` promotes whatever these few sentences give.
  const job = await call(
    adaptation, "Adapt", { head, examples: { examples }, request_id: randomUUID(), wait: true, force: true }, 120,
  );
  if (job.state !== "SUCCEEDED") {
    throw new Error(`The job ${job.name} is ${job.state}: ${job.error ? job.error.message : "see the server's log"}`);
  }
  const texts = ["Where is my parcel?", "I want my money back, you booked it twice."];
  const answer = await call(inference, "Predict", { inputs: texts.map((text) => ({ text })), heads: [head] }, 30);
  const predictions = answer.results.map(({ predictions: [first] }, index) => ({
    text: texts[index],
    label: first.labels[0].label,
    probability: first.labels[0].probability,
    head: first.head,
  }));
  console.log(JSON.stringify({ job: { name: job.name, state: job.state, head_version: job.head_version },
    backbone: answer.backbone, digest: answer.heads[0].digest, predictions }, null, 2));
  adaptation.close();
  inference.close();
}

main().catch((error) => {
  console.error(error.details || error.message);
  process.exitCode = 1;
});
