// Who may read the archive and write the store: roles on the containers, not on the account.
param accountName string

@description('Object ids of those who read the archive.')
param archiveReaders array

@description('Object ids of those who read and write the store.')
param storeWriters array

var blobDataReader = subscriptionResourceId('Microsoft.Authorization/roleDefinitions', '2a2b9908-6ea1-4ae2-8e65-a410df84e7d1')
var blobDataContributor = subscriptionResourceId('Microsoft.Authorization/roleDefinitions', 'ba92f5b4-2d11-453d-a403-e96b0029c9fe')

resource account 'Microsoft.Storage/storageAccounts@2023-05-01' existing = {
  name: accountName
}

resource blobs 'Microsoft.Storage/storageAccounts/blobServices@2023-05-01' existing = {
  parent: account
  name: 'default'
}

resource archive 'Microsoft.Storage/storageAccounts/blobServices/containers@2023-05-01' existing = {
  parent: blobs
  name: 'archive'
}

resource store 'Microsoft.Storage/storageAccounts/blobServices/containers@2023-05-01' existing = {
  parent: blobs
  name: 'store'
}

resource reads 'Microsoft.Authorization/roleAssignments@2022-04-01' = [for principalId in archiveReaders: {
  scope: archive
  name: guid(archive.id, principalId, blobDataReader)
  properties: {
    principalId: principalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: blobDataReader
  }
}]

resource writes 'Microsoft.Authorization/roleAssignments@2022-04-01' = [for principalId in storeWriters: {
  scope: store
  name: guid(store.id, principalId, blobDataContributor)
  properties: {
    principalId: principalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: blobDataContributor
  }
}]
